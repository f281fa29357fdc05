"""The patron pages, the API for OPACs, the webhooks and the machine pages: one FastAPI application."""
