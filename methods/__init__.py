"""WHO optimizes: one method = one file = one name (file, config key, table, legend).

A module whose name starts with an underscore is shared machinery, not a method.
"""
