"""How the benchmark runs and is told: rules, suites, tables, figures."""
