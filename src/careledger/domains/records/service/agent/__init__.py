"""The custodial agent: keeps patients' wallets in a site's keystore and acts with them.

wallets, enrolment   wallets, and what custodians are given of them
sessions, updates    talking to a custodian about a cell; advancing a cell
epochs               new epochs, with what the custodian says checked
agent                grant, amend, revoke, refresh, restrict
authority            on whose word the agent acts; delegation
recovery, handover   lost and stolen wallets; taking a wallet elsewhere
notices              what the patient must be told

A proof then says "the agent acting for the patient allowed it".
"""
