# The same search for every method on every task, on replicates that the comparison never sees.


rule tune_run:
    input:
        sources=JOBS.sources_of_tuning,
    output:
        f"{FOLDER}/tuning/{{task}}/{{method}}/grid.parquet",
    log:
        f"{FOLDER}/logs/tune/{{task}}/{{method}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=JOBS.memory_of_task,
        runtime=JOBS.minutes_of_tuning,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_tuning,
        out=subpath(output[0], parent=True),
    shell:
        logged("python -m benchmarks.harness.tune --spec {params.spec:q} --out {params.out:q}")


rule meta_tune:
    input:
        sources=JOBS.sources_of_meta_tuning,
    output:
        f"{FOLDER}/tuning/{{family}}/{{learner}}/grid.parquet",
    log:
        f"{FOLDER}/logs/tune/{{family}}/{{learner}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=JOBS.memory_of_family,
        runtime=240,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_meta_tuning,
        out=subpath(output[0], parent=True),
    shell:
        logged("python -m benchmarks.harness.meta_tune --spec {params.spec:q} --out {params.out:q}")


rule tune:
    input:
        grids=[f"{FOLDER}/tuning/{what}/{who}/grid.parquet" for what, who in [*JOBS.tuning, *JOBS.meta_tuning]],
        sources=JOBS.sources_of("workflow.tables.tuning"),
    output:
        grid=f"{FOLDER}/tuning/grid.csv",
        best=f"{FOLDER}/tuning/best.csv",
    log:
        f"{FOLDER}/logs/tune.log",
    conda:
        "../../environment.yml"
    params:
        results=subpath(output.best, ancestor=2),
    shell:
        logged("python -m workflow.tables.tuning --results {params.results:q}")
