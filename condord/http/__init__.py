"""The way to subscribers: JSON routes and Server-Sent Events over Starlette and uvicorn."""
