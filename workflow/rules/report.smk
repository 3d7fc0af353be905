# One HTML file with everything. Its parts are outputs marked with report(…); Snakemake itself puts them together.


rule pages:
    input:
        tables=[f"{FOLDER}/tables/{name}" for name in TABLES],
        sources=sorted(modules("workflow.pages")),
    output:
        [
            report(
                f"{FOLDER}/report/{page}.html",
                caption=f"../report/{page}.rst",
                category=category,
                labels={"table": title},
            )
            for page, (category, title) in PAGES.items()
        ],
    log:
        f"{FOLDER}/logs/pages.log",
    conda:
        "../../environment.yml"
    params:
        results=subpath(output[0], ancestor=2),
        pages=list(PAGES),
    shell:
        logged("python -m workflow.pages --results {params.results:q} --pages {params.pages:q}")


# Last of all tables, as figures can fail, too.
rule failures:
    input:
        tables=[f"{FOLDER}/tables/{name}" for name in TABLES],
        records=expand(f"{FOLDER}/logs/figures/{{figure}}.json", figure=SUITE.figures),
        sources=sorted(modules("workflow.failures")),
    output:
        table=f"{FOLDER}/tables/{FAILURES}",
        page=report(
            f"{FOLDER}/report/failures.html",
            caption="../report/failures.rst",
            category="Tables",
            labels={"table": "what did not run, and why"},
        ),
    log:
        f"{FOLDER}/logs/failures.log",
    conda:
        "../../environment.yml"
    params:
        config=SUITE.path.as_posix(),
        results=subpath(output.table, ancestor=2),
    shell:
        logged("python -m workflow.failures --config {params.config:q} --results {params.results:q}")


rule report:
    input:
        figures=rules.figures.input,
        pages=rules.pages.output,
        failures=rules.failures.output.page,
    output:
        f"{FOLDER}/report.html",
    log:
        f"{FOLDER}/logs/report.log",
    conda:
        "../../environment.yml"
    params:
        config=SUITE.path.as_posix(),
        snakefile=ours("Snakefile"),
    shell:
        logged(
            "python -m snakemake --snakefile {params.snakefile:q} --cores 1 --nolock --configfile {params.config:q}"
            " --report {output:q} -- {input.figures:q} {input.pages:q} {input.failures:q}"
        )
