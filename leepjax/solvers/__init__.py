"""Solvers that measures and heads share: least squares with L2, and logistic regression."""
