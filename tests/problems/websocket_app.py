"""An application that closes handshakes in each way there is."""

from fastapi import FastAPI, WebSocket

from roadworthy import problems

app, mounted = FastAPI(), FastAPI()
problems.install(app)
app.mount("/mounted", mounted)


@app.websocket("/ws")
async def ws(ws: WebSocket, n: int) -> None:
    await ws.accept()
    await ws.close(1000)


@app.websocket("/closed")
async def closed(ws: WebSocket) -> None:
    await ws.close(4001, "No.")
