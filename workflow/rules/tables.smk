# From finished cells to tidy tables.


rule tables:
    input:
        tasks=of_all_tasks("task.json"),
        task_images=of_all_tasks("images.npz"),
        runs=of_all_cells("runs.parquet"),
        curves=of_all_cells("curves.parquet"),
        images=of_all_cells("images.npz"),
        sources=sorted(modules("workflow.tables.__main__")),
    output:
        [f"{FOLDER}/tables/{name}" for name in TABLES],
    log:
        f"{FOLDER}/logs/tables.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=SUITE.path.as_posix(),
        results=subpath(output[0], ancestor=2),
        # Decides which pictures are kept.
        gallery=to_json(SUITE.figures.get("gallery", {})),
        tuning=fingerprint_of_tuning(),
    shell:
        logged("python -m workflow.tables --results {params.results:q} --config {params.config:q}")


# Two tables that come from a task itself instead of from runs: what the figures of the losses show.


rule landscape:
    input:
        sources=sorted(modules("workflow.tables.landscape")),
    output:
        f"{FOLDER}/tables/landscape.parquet",
    log:
        f"{FOLDER}/logs/landscape.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=SUITE.path.as_posix(),
    shell:
        logged("python -m workflow.tables.landscape --config {params.config:q} --out {output:q}")


rule surrogate:
    input:
        sources=sorted(modules("workflow.tables.surrogate")),
    output:
        f"{FOLDER}/tables/surrogate.parquet",
    log:
        f"{FOLDER}/logs/surrogate.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    shell:
        logged("python -m workflow.tables.surrogate --out {output:q}")
