"""The search: parameters, spaces, samplers and pruners, objectives."""
