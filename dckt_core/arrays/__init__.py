"""The common space from Python, on arrays: an estimator in scikit-learn's shape over the same engine as a run's."""
