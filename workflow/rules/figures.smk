# Figures from tables, and from nothing else.


rule figure:
    input:
        tables=JOBS.tables_of_figure,
        sources=JOBS.sources_of_figure,
    output:
        pdf=f"{FOLDER}/figures/{{figure}}.pdf",
        png=f"{FOLDER}/figures/{{figure}}.png",
        # Whether it could be drawn: one that could not is a panel that says why, and a row of failures.csv.
        record=f"{FOLDER}/logs/figures/{{figure}}.json",
    log:
        f"{FOLDER}/logs/figures/{{figure}}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=JOBS.options_of_figure,
        tables=f"{FOLDER}/tables/",
    shell:
        logged(
            "python -m workflow.figures {wildcards.figure} --tables {params.tables:q}"
            " --options {params.options:q} --out {output.pdf:q} --record {output.record:q}"
        )


rule figures:
    input:
        expand(f"{FOLDER}/figures/{{figure}}.pdf", figure=SUITE.figures),


# All figures and the report anew from the tables that are there, for instance in a fresh checkout: no run is asked for.
rule redraw:
    log:
        f"{FOLDER}/logs/redraw.log",
    conda:
        "../../environment.yml"
    params:
        commands=JOBS.drawing_commands(),
    shell:
        logged("( set -e; {params.commands} )")
