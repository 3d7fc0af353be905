"""Hard-edged shapes on a pixel grid: the smallest renderer whose gradient is zero."""
