"""The adapter to subscribers: JSON routes and Server-Sent Events over Starlette and uvicorn."""
