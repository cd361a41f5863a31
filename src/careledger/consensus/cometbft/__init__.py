"""The replicated engine: our ABCI 2.0 server beside a supervised CometBFT node."""
