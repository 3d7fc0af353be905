# What is known of a task beforehand, and one job per (task, method): its seeds in turn, each kept when finished.
#
# Calibration comes first by priority, not as an input: a run reads nothing of it. (As `ancient` input it would also hide
# from Snakemake that a run is stale, whenever its task's calibration is.)


rule calibrate:
    input:
        sources=JOBS.sources_of_task,
    output:
        row=f"{FOLDER}/tasks/{{task}}/task.json",
        images=f"{FOLDER}/tasks/{{task}}/images.npz",
    log:
        f"{FOLDER}/logs/calibrate/{{task}}.log",
    priority: 10
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=JOBS.memory_of_task,
        runtime=30,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_task,
        out=subpath(output.row, parent=True),
    shell:
        logged("python -m benchmarks.harness.calibrate --spec {params.spec:q} --out {params.out:q}")


rule run:
    input:
        sources=JOBS.sources_of_cell,
    output:
        runs=f"{FOLDER}/runs/{{task}}/{{method}}/runs.parquet",
        curves=f"{FOLDER}/runs/{{task}}/{{method}}/curves.parquet",
        images=f"{FOLDER}/runs/{{task}}/{{method}}/images.npz",
    log:
        f"{FOLDER}/logs/run/{{task}}/{{method}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=JOBS.memory_of_task,
        runtime=JOBS.minutes_of_cell,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_cell,
        out=subpath(output.runs, parent=True),
    shell:
        logged("python -m benchmarks.harness.cell --spec {params.spec:q} --out {params.out:q}")
