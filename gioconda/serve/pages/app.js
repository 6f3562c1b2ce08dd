// The one script of the local page: takes files in, watches progress, lets strips and stills move the video, draws face boxes.
// It talks to nothing but the page it came from.
"use strict";

const byId = (id) => document.getElementById(id);
const token = document.querySelector('meta[name="gioconda-token"]').content;
const lang = document.documentElement.lang;

function post(url, body, headers = {}) {
  return fetch(url, { method: "POST", body, headers: { "X-Gioconda-Token": token, ...headers } });
}

function tell(text) {
  byId("live").textContent = text;
}

// ---- buttons that change something

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button) return;
  button.disabled = true;
  await post(button.dataset.post);
  const then = button.dataset.then;
  if (then && then !== "reload") location.href = then;
  else location.reload();
});

if (byId("print")) byId("print").addEventListener("click", () => window.print());

// ---- dropping files

const drop = byId("drop");
if (drop) {
  const input = byId("file");
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
  }
  document.addEventListener("drop", (event) => take(event.dataTransfer.files));
  input.addEventListener("change", () => take(input.files));
}

function refuse(file, why) {
  const notice = byId("notice");
  notice.hidden = false;
  const line = document.createElement("p");
  const name = document.createElement("strong");
  name.textContent = file.name;
  line.append(name, " · ", drop.dataset.refused, ": ", why);
  notice.replaceChildren(line);
}

async function take(files) {
  byId("notice").hidden = true;
  let last = null;
  for (const file of files) {
    if (file.size > Number(drop.dataset.limit)) { refuse(file, drop.dataset.tooLarge); continue; }
    const url = await send(file).catch(() => refuse(file, drop.dataset.cutShort));
    if (url) last = url;
  }
  if (last) location.href = files.length === 1 ? `${last}?lang=${lang}` : location.href;
}

function send(file) {
  return new Promise((resolve, reject) => {
    const bar = document.createElement("progress");
    bar.max = 1;
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.className = "title";
    name.textContent = file.name;
    item.append(name, bar);
    byId("jobs").prepend(item);
    if (byId("empty")) byId("empty").remove();
    tell(`${file.name}: ${drop.dataset.uploading}`);
    const request = new XMLHttpRequest();
    request.open("POST", `/clips?lang=${lang}`);
    request.setRequestHeader("X-Gioconda-Token", token);
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
    request.onerror = () => { item.remove(); reject(new Error("refused")); };
    request.onload = () => {
      if (request.status === 201) { resolve(JSON.parse(request.responseText).url); return; }
      item.remove();
      let why = String(request.status);
      try { why = JSON.parse(request.responseText).error; } catch { why = request.responseText || why; }
      refuse(file, why);
      resolve(null);
    };
    request.send(file);
  });
}

// ---- watching progress

async function watchOne(box) {
  const answer = await fetch(`/clips/${box.dataset.clip}/state.json?lang=${lang}`).catch(() => null);
  if (answer && answer.status === 404) { location.href = `/?lang=${lang}`; return; }
  if (answer && answer.ok) {
    const now = await answer.json();
    if (!now.active) { location.reload(); return; }
    byId("what").textContent = now.text;
    byId("share").value = now.share;
    if (byId("stage").textContent !== now.stage) byId("stage").textContent = now.stage;
  }
  setTimeout(() => watchOne(box), 500);
}

async function watchAll() {
  const answer = await fetch(`/clips.json?lang=${lang}`).catch(() => null);
  if (answer && answer.ok) {
    for (const now of await answer.json()) {
      const item = document.querySelector(`li[data-clip="${now.id}"]`);
      if (!item) continue;
      const text = now.stage || now.text;
      if (item.querySelector(".what").textContent !== text) item.querySelector(".what").textContent = text;
      item.dataset.active = now.active ? "yes" : "no";
    }
  }
  if (document.querySelector('li[data-active="yes"]')) setTimeout(watchAll, 1000);
}

const waiting = byId("waiting");
if (waiting && waiting.dataset.active === "yes") watchOne(waiting);
if (document.querySelector('li[data-active="yes"]')) watchAll();

// ---- strips and stills move the video

const video = byId("video");
const strips = [...document.querySelectorAll("svg.strip[data-seek]")];

function seek(seconds) {
  if (!(video instanceof HTMLVideoElement)) return;
  video.currentTime = Math.max(0, Math.min(seconds, (video.duration || seconds) - 0.001));
  show(seconds);
}

function show(seconds) {
  for (const strip of strips) {
    const end = Number(strip.dataset.seek);
    const x = strip.viewBox.baseVal.width * Math.min(1, seconds / end);
    const line = strip.querySelector(".here");
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    strip.setAttribute("aria-valuenow", seconds.toFixed(2));
    strip.setAttribute("aria-valuetext", `${seconds.toFixed(1)} s`);
  }
}

for (const strip of strips) {
  const end = Number(strip.dataset.seek);
  strip.addEventListener("click", (event) => {
    const room = strip.getBoundingClientRect();
    seek(end * Math.min(1, Math.max(0, (event.clientX - room.left) / room.width)));
  });
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    const at = Number(strip.getAttribute("aria-valuenow")) || 0;
    if (step) seek(Math.min(end, Math.max(0, at + (step * end) / 50)));
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(end);
    else return;
    event.preventDefault();
  });
}
for (const button of document.querySelectorAll("button[data-time]")) {
  button.addEventListener("click", () => {
    seek(Number(button.dataset.time));
    video.scrollIntoView({ block: "nearest" });
  });
}

// ---- face boxes over the picture

const player = byId("player");
if (player) {
  const overlay = byId("overlay");
  let tracks = [];
  fetch(player.dataset.boxes).then((answer) => answer.json()).then((found) => { tracks = found.tracks; draw(); }).catch(() => {});

  function place() {
    // The picture is centred in its element; boxes belong to the picture, not to the bars around it.
    const wide = video.videoWidth || video.naturalWidth || 16;
    const high = video.videoHeight || video.naturalHeight || 9;
    const scale = Math.min(video.clientWidth / wide, video.clientHeight / high);
    const w = wide * scale, h = high * scale;
    overlay.style.left = `${video.offsetLeft + (video.clientWidth - w) / 2}px`;
    overlay.style.top = `${video.offsetTop + (video.clientHeight - h) / 2}px`;
    overlay.style.width = `${w}px`;
    overlay.style.height = `${h}px`;
    overlay.setAttribute("viewBox", `0 0 ${w} ${h}`);
    return [w, h];
  }

  function nearest(times, t) {
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < t) low = middle + 1; else high = middle;
    }
    return low > 0 && t - times[low - 1] < times[low] - t ? low - 1 : low;
  }

  function draw() {
    const [w, h] = place();
    overlay.replaceChildren();
    const on = byId("boxes");
    if (on && !on.checked) return;
    const t = video.currentTime || 0;
    for (const track of tracks) {
      if (!track.times.length) continue;
      const i = nearest(track.times, t);
      const gap = track.times.length > 1 ? (track.times[track.times.length - 1] - track.times[0]) / (track.times.length - 1) : 1;
      if (Math.abs(track.times[i] - t) > Math.max(0.1, 1.5 * gap)) continue;
      const [x0, y0, x1, y1] = track.boxes[i];
      const make = (name, values) => {
        const element = document.createElementNS("http://www.w3.org/2000/svg", name);
        for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
        overlay.append(element);
        return element;
      };
      make("rect", { class: "box", x: x0 * w, y: y0 * h, width: (x1 - x0) * w, height: (y1 - y0) * h, rx: 4 });
      make("text", { class: "boxname", x: x0 * w + 5, y: y0 * h + 16, "font-size": 13 }).textContent = String(track.id + 1);
    }
  }

  if (video instanceof HTMLVideoElement) {
    const follow = () => {
      draw();
      show(video.currentTime);
      if (!video.paused && !video.ended) requestAnimationFrame(follow);
    };
    for (const name of ["loadedmetadata", "play", "pause", "seeked", "timeupdate"]) video.addEventListener(name, follow);
    video.addEventListener("error", () => { player.hidden = true; });
  } else {
    video.addEventListener("load", draw);
  }
  if (byId("boxes")) byId("boxes").addEventListener("change", draw);
  window.addEventListener("resize", draw);
}
