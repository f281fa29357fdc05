"""Every table of the program, and the one ``metadata`` that knows them all."""

from ils_payment.store import case_tables, journal_tables, renewal_tables, staff_tables, tables

metadata = tables.metadata

__all__ = ["case_tables", "journal_tables", "metadata", "renewal_tables", "staff_tables", "tables"]
