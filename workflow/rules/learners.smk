# One job trains a learner on a family, its seeds in turn; another adapts what was trained to members never seen.


rule meta_train:
    input:
        sources=sources_of_training,
    output:
        cards=f"{FOLDER}/models/{{family}}/{{learner}}/cards.json",
        trained=TRAINED,
    log:
        f"{FOLDER}/logs/train/{{family}}/{{learner}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=memory_of_family,
        runtime=240,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=training_spec,
        out=subpath(output.cards, parent=True),
    shell:
        logged("python -m benchmarks.harness.meta_train --spec {params.spec:q} --out {params.out:q}")


rule meta_adapt:
    input:
        cards=f"{FOLDER}/models/{{family}}/{{learner}}/cards.json",
        trained=TRAINED,
        sources=sources_of_adaptation,
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
        mem_mb=memory_of_family,
        runtime=120,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=adaptation_spec,
        trained=subpath(input.cards, parent=True),
        out=subpath(output.models, parent=True),
    shell:
        logged(
            "python -m benchmarks.harness.adapt --spec {params.spec:q} --models {params.trained:q} --out {params.out:q}"
        )


rule sampling:
    input:
        sources=sorted(modules("benchmarks.experiments.sampling")),
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
        spec=sampling_spec,
        out=subpath(output[0], parent=True),
    shell:
        logged("python -m benchmarks.experiments.sampling --spec {params.spec:q} --out {params.out:q}")
