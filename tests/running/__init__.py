"""The inside of `./test`: suites, what they need, lanes, the budget of time and the ledger of proofs.

Runs with any Python 3.11 before anything is installed, so it imports nothing but
the standard library, and harness.cluster, which does the same.
"""
