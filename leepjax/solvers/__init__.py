"""Solvers shared by measures and heads: ridge and logistic regression, Gaussian mixtures, optimal transport."""
