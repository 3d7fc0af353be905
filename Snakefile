# Every method on every task, told as tables, figures and one report.
#
#   snakemake --cores all                                        the suite config/desk.yaml
#   snakemake --cores all --configfile config/smoke.yaml         another suite
#   snakemake --cores all --directory elsewhere                  results below another folder
#   snakemake --cores all -s path/to/Snakefile                   the same, typed in that folder
#
# Targets: all, tables, figures, report, redraw, tune, or any file below results.

from snakemake.utils import min_version

min_version("9.27")

# A suite is one file: given another, the default is not read at all (Snakemake would merge the two).
if not workflow.configfiles:

    configfile: f"{workflow.basedir}/config/desk.yaml"


include: "workflow/rules/common.smk"


wildcard_constraints:
    task=alternatives(SUITE.tasks),
    method=alternatives(dict.fromkeys(method for _, method in JOBS.cells)),
    family=alternatives(SUITE.config.get("families", {})),
    learner=alternatives(SUITE.config.get("learners", {})),
    model=alternatives(SUITE.sampling),
    law=alternatives(SUITE.diffusion),
    measured=alternatives(SUITE.posterior),
    scene=alternatives(SUITE.rays),
    figure=alternatives(SUITE.figures),


localrules:
    all,
    figures,
    report,


rule all:
    default_target: True
    input:
        f"{FOLDER}/report.html",


include: "workflow/rules/runs.smk"
include: "workflow/rules/learners.smk"
include: "workflow/rules/diffusion.smk"
include: "workflow/rules/tuning.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


onsuccess:
    tell_failures()


onerror:
    tell_failures()
