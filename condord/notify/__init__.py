"""Deliver alerts: their database, its outbox, webhooks, and Apprise."""
