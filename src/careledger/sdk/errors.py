"""The error vocabulary of replicated code."""

from careledger.primitives.errors import Category, Code, CodeSpace, InvariantViolated, Rejected

__all__ = ["Category", "Code", "CodeSpace", "InvariantViolated", "Rejected"]
