"""Genesis, active modules and versions, validators, parameters, votes."""
