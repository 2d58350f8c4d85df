// Which versions are kept beside this one: versions-kept.js says, which docs/build.py writes.
(() => {
  const base = new URL(JSON.parse(document.getElementById("__config").textContent).base + "/", location);
  const here = base.pathname.match(/\/(\d+\.\d+)\/$/)?.[1];
  const root = here ? new URL("../", base) : base;
  const script = document.createElement("script");
  script.src = new URL("versions-kept.js", root);
  script.onload = () => show(window.versionsKept);
  document.head.append(script);

  function show(kept) {
    if (kept.length > 1) document.querySelector(".md-header__title").after(choice(kept));
    if (here && here !== kept[0]) document.querySelector("article").prepend(warning(kept));
  }

  function choice(kept) {
    const select = document.createElement("select");
    select.className = "rw-versions";
    select.setAttribute("aria-label", "Version");
    kept.forEach((one) => select.add(new Option(one, one, false, one === (here ?? kept[0]))));
    select.onchange = () => (location = place(select.value, kept));
    return select;
  }

  function warning(kept) {
    const box = document.createElement("p");
    box.className = "rw-old";
    box.append(`This is about version ${here}. The newest is `);
    const link = box.appendChild(document.createElement("a"));
    link.href = place(kept[0], kept);
    link.textContent = `${kept[0]}.`;
    return box;
  }

  // A page may have another name in another version: its first page always exists.
  function place(version, kept) {
    return new URL(version === kept[0] ? "index.html" : `${version}/index.html`, root).href;
  }
})();
