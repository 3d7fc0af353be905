# One HTML file with everything that tables and figures say.


# Last of all tables, as figures can fail, too.
rule failures:
    input:
        tables=[f"{FOLDER}/tables/{name}" for name in JOBS.tables],
        records=expand(f"{FOLDER}/logs/figures/{{figure}}.json", figure=SUITE.figures),
        sources=JOBS.sources_of("workflow.failures"),
    output:
        f"{FOLDER}/tables/{FAILURES}",
    log:
        f"{FOLDER}/logs/failures.log",
    conda:
        "../../environment.yml"
    params:
        config=SUITE.path.as_posix(),
        results=subpath(output[0], ancestor=2),
    shell:
        logged("python -m workflow.failures --config {params.config:q} --results {params.results:q}")


rule report:
    input:
        tables=[f"{FOLDER}/tables/{name}" for name in JOBS.tables],
        figures=[f"{FOLDER}/figures/{name}.{kind}" for name in SUITE.figures for kind in ("pdf", "png")],
        failures=rules.failures.output,
        sources=JOBS.sources_of_report(),
    output:
        f"{FOLDER}/report.html",
    log:
        f"{FOLDER}/logs/report.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=subpath(output[0], parent=True),
        figures=list(SUITE.figures),
    shell:
        logged("python -m workflow.report --results {params.results:q} --figures {params.figures:q}")
