# One job per law that diffusion samplers draw from, one per measurement that guides are compared on, and one per scene
# whose rays are weighed; a job keeps every sampler, guide or arm when it is finished.


rule diffusion:
    input:
        sources=JOBS.sources_of_diffusion,
    output:
        values=f"{FOLDER}/diffusion/{{law}}/values.parquet",
        choices=f"{FOLDER}/diffusion/{{law}}/choices.parquet",
        tried=f"{FOLDER}/diffusion/{{law}}/tried.parquet",
    log:
        f"{FOLDER}/logs/diffusion/{{law}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=BASE_MIB + 4096,
        runtime=120,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_diffusion,
        out=subpath(output.values, parent=True),
    shell:
        logged("python -m benchmarks.experiments.diffusion --spec {params.spec:q} --out {params.out:q}")


rule posterior:
    input:
        sources=JOBS.sources_of_posterior,
    output:
        values=f"{FOLDER}/posterior/{{measured}}/values.parquet",
        choices=f"{FOLDER}/posterior/{{measured}}/choices.parquet",
    log:
        f"{FOLDER}/logs/posterior/{{measured}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=BASE_MIB + 4096,
        runtime=120,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_posterior,
        out=subpath(output.values, parent=True),
    shell:
        logged("python -m benchmarks.experiments.posterior --spec {params.spec:q} --out {params.out:q}")


rule rays:
    input:
        sources=JOBS.sources_of_rays,
    output:
        values=f"{FOLDER}/rays/{{scene}}/values.parquet",
        maps=f"{FOLDER}/rays/{{scene}}/maps.parquet",
        descents=f"{FOLDER}/rays/{{scene}}/descents.parquet",
        endings=f"{FOLDER}/rays/{{scene}}/endings.parquet",
    log:
        f"{FOLDER}/logs/rays/{{scene}}.log",
    conda:
        "../../environment.yml"
    threads: SUITE.threads
    resources:
        mem_mb=BASE_MIB + 4096,
        runtime=120,
        gpu=int(SUITE.device != "cpu"),
    params:
        spec=JOBS.spec_of_rays,
        out=subpath(output.values, parent=True),
    shell:
        logged("python -m benchmarks.experiments.rays --spec {params.spec:q} --out {params.out:q}")
