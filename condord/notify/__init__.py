"""Store and deliver alerts: the database with its outbox, webhooks, and Apprise."""
