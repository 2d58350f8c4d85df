// Browsers start no Worker from a page on a disk. Search needs one: here it runs in a frame.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(script) {
      this.waiting = [];
      this.frame = document.body.appendChild(document.createElement("iframe"));
      this.frame.hidden = true;
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.deliver(data, this);
      const code = inside.document.createElement("script");
      code.src = script;
      code.onload = () => this.started(inside);
      code.onerror = (event) => this.onerror?.(event);
      inside.document.head.append(code);
    }
    started(inside) {
      this.inside = inside;
      this.waiting.forEach((data) => this.postMessage(data));
    }
    postMessage(data) {
      if (this.inside) this.deliver(data, this.inside);
      else this.waiting.push(data);
    }
    deliver(data, to) {
      const copy = structuredClone(data); // each side may change what it has
      setTimeout(() => to.onmessage?.({ data: copy }));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
