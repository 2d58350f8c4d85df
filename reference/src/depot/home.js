const told = document.getElementById("told"), source = new EventSource("orders/events");
source.onmessage = (event) => told.append(event.data, "\n");
source.addEventListener("gap", () => told.append("Some are not known any more.\n"));
