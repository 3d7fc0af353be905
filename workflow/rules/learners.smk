# One job trains a learner on a family, its seeds in turn; another adapts what was trained to members never seen.


rule meta_train:
    input:
        sources=JOBS.sources_of_training,
    output:
        cards=f"{FOLDER}/models/{{family}}/{{learner}}/cards.json",
        trained=JOBS.trained,
    log:
        f"{FOLDER}/logs/train/{{family}}/{{learner}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=JOBS.memory_of_family,
        runtime=240,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_training,
        out=subpath(output.cards, parent=True),
    shell:
        logged("python -m benchmarks.harness.meta_train --spec {params.spec:q} --out {params.out:q}")


rule meta_adapt:
    input:
        cards=f"{FOLDER}/models/{{family}}/{{learner}}/cards.json",
        trained=JOBS.trained,
        sources=JOBS.sources_of_adaptation,
    output:
        models=f"{FOLDER}/adaptation/{{family}}/{{learner}}/models.parquet",
        adaptation=f"{FOLDER}/adaptation/{{family}}/{{learner}}/adaptation.parquet",
        pictures=f"{FOLDER}/adaptation/{{family}}/{{learner}}/pictures.npz",
    log:
        f"{FOLDER}/logs/adapt/{{family}}/{{learner}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=JOBS.memory_of_family,
        runtime=120,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_adaptation,
        trained=subpath(input.cards, parent=True),
        out=subpath(output.models, parent=True),
    shell:
        logged(
            "python -m benchmarks.harness.adapt --spec {params.spec:q} --models {params.trained:q} --out {params.out:q}"
        )


rule sampling:
    input:
        sources=JOBS.sources_of("benchmarks.experiments.sampling"),
    output:
        f"{FOLDER}/sampling/{{model}}/sampling.parquet",
    log:
        f"{FOLDER}/logs/sampling/{{model}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=BASE_MIB + 4096,
        runtime=240,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_sampling,
        out=subpath(output[0], parent=True),
    shell:
        logged("python -m benchmarks.experiments.sampling --spec {params.spec:q} --out {params.out:q}")
