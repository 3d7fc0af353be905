# From finished cells to tidy tables.


rule tables:
    input:
        tasks=JOBS.of_all_tasks("task.json"),
        task_images=JOBS.of_all_tasks("images.npz"),
        runs=JOBS.of_all_cells("runs.parquet"),
        curves=JOBS.of_all_cells("curves.parquet"),
        images=JOBS.of_all_cells("images.npz"),
        models=JOBS.of_all_learners("adaptation", "models.parquet"),
        adaptation=JOBS.of_all_learners("adaptation", "adaptation.parquet"),
        pictures=JOBS.of_all_learners("adaptation", "pictures.npz"),
        sampling=[f"{FOLDER}/sampling/{model}/sampling.parquet" for model in SUITE.sampling],
        diffusion=[
            f"{FOLDER}/diffusion/{law}/{name}.parquet"
            for law in SUITE.diffusion
            for name in ("values", "choices", "tried")
        ],
        posterior=[
            f"{FOLDER}/posterior/{measured}/{name}.parquet"
            for measured in SUITE.posterior
            for name in ("values", "choices")
        ],
        rays=[
            f"{FOLDER}/rays/{scene}/{name}.parquet"
            for scene in SUITE.rays
            for name in ("values", "maps", "descents", "endings")
        ],
        stored=JOBS.stored(),
        sources=JOBS.sources_of("workflow.tables.__main__"),
        paper=ours("workflow/tables/paper_prdpt.csv"),
    output:
        [f"{FOLDER}/tables/{name}" for name in JOBS.tables],
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
        pictured=",".join(SUITE.pictured),
        tuning=JOBS.fingerprint_of_tuning(),
    shell:
        logged("python -m workflow.tables --results {params.results:q} --config {params.config:q}")


# Tables that come from tasks themselves instead of from runs: what the figures of the losses show.


rule landscape:
    input:
        sources=JOBS.sources_of("workflow.tables.landscape"),
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


rule scene_landscape:
    input:
        sources=JOBS.sources_of_scenes(),
    output:
        f"{FOLDER}/tables/scene_landscape.parquet",
    log:
        f"{FOLDER}/logs/scene_landscape.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=SUITE.path.as_posix(),
        # A scene with other parameters has another loss.
        scenes=json.dumps(JOBS.scenes, sort_keys=True),
        device=SUITE.device,
    shell:
        logged("python -m workflow.tables.scene_landscape --config {params.config:q} --out {output:q}")


rule surrogate:
    input:
        sources=JOBS.sources_of("workflow.tables.surrogate"),
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


rule influence:
    input:
        sources=JOBS.sources_of("workflow.tables.influence"),
    output:
        f"{FOLDER}/tables/influence.parquet",
    log:
        f"{FOLDER}/logs/influence.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        logged("python -m workflow.tables.influence --out {output:q}")


# Runs the best rival of each task once more, for pictures of what it had on the way.
rule worlds:
    input:
        tables=[f"{FOLDER}/tables/{name}" for name in ("tasks.csv", "scores.csv", "pictures.npz")],
        sources=JOBS.sources_of("workflow.tables.worlds"),
    output:
        f"{FOLDER}/tables/worlds.npz",
    log:
        f"{FOLDER}/logs/worlds.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=8000,
        runtime=60,
        gpu=int(SUITE.device != "cpu"),
    params:
        config=SUITE.path.as_posix(),
        results=subpath(output[0], ancestor=2),
        shown=to_json(SUITE.figures.get("worlds", {})),
    shell:
        logged("python -m workflow.tables.worlds --config {params.config:q} --results {params.results:q}")
