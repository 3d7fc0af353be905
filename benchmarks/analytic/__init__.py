"""Tasks whose optimum and smoothed gradient are known in closed form or by quadrature."""
