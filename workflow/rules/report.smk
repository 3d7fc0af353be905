# One HTML file with everything. Its parts are outputs marked with report(…); Snakemake itself puts them together.


rule pages:
    input:
        tables=[f"{FOLDER}/tables/{name}" for name in TABLES],
        sources=sorted(modules("workflow.pages")),
    output:
        methods=report(
            f"{FOLDER}/report/methods.html",
            caption="../report/methods.rst",
            category="Tables",
            labels={"table": "methods"},
        ),
        scores=report(
            f"{FOLDER}/report/scores.html",
            caption="../report/scores.rst",
            category="Tables",
            labels={"table": "scores"},
        ),
        claims=report(
            f"{FOLDER}/report/claims.html",
            caption="../report/claims.rst",
            category="Tables",
            labels={"table": "claims"},
        ),
        gradients=report(
            f"{FOLDER}/report/gradients.html",
            caption="../report/gradients.rst",
            category="Quality and provenance",
            labels={"table": "gradients"},
        ),
        quality=report(
            f"{FOLDER}/report/quality.html",
            caption="../report/quality.rst",
            category="Quality and provenance",
            labels={"table": "quality checks"},
        ),
        environment=report(
            f"{FOLDER}/report/environment.html",
            caption="../report/environment.rst",
            category="Quality and provenance",
            labels={"table": "versions and hardware"},
        ),
    log:
        f"{FOLDER}/logs/pages.log",
    conda:
        "../../environment.yml"
    params:
        results=subpath(output.methods, ancestor=2),
    shell:
        logged("python -m workflow.pages --results {params.results:q}")


rule report:
    input:
        figures=rules.figures.input,
        pages=rules.pages.output,
    output:
        f"{FOLDER}/report.html",
    log:
        f"{FOLDER}/logs/report.log",
    conda:
        "../../environment.yml"
    params:
        config=SUITE.path.as_posix(),
    shell:
        logged(
            "python -m snakemake --cores 1 --nolock --configfile {params.config:q} --report {output:q}"
            " -- {input.figures:q} {input.pages:q}"
        )
