// The one script of the local page: takes files in, watches progress, lets strips and stills move the video, draws face boxes,
// copies, magnifies, sends the forms of cases, and plays two clips together.
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

// Whether the program behind the page answers; said once it has not for three times running.
let missed = 0;
async function ask(url) {
  const answer = await fetch(url).catch(() => null);
  missed = answer ? 0 : missed + 1;
  byId("away").hidden = missed < 3;
  return answer;
}

// ---- buttons that change something

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button) return;
  if (button.dataset.ask && !confirm(button.dataset.ask)) return;
  button.disabled = true;
  const answer = await post(button.dataset.post).catch(() => null);
  if (!answer || !answer.ok) {
    button.disabled = false;
    byId("away").hidden = Boolean(answer);
    if (answer) tell(document.body.dataset.outOfDate);
    return;
  }
  const then = button.dataset.then;
  if (then === "answer") location.href = `${(await answer.json()).url}?lang=${lang}`;
  else if (then && then !== "reload") location.href = then;
  else location.reload();
});

if (byId("print")) byId("print").addEventListener("click", () => window.print());

// ---- forms: sent as one object; the page they lead to is opened, a file is handed to the browser

for (const form of document.querySelectorAll("form[data-send]")) {
  const which = form.elements.case, called = form.querySelector("[data-new]");
  const fit = () => {  // a new case wants a name, another one has it
    if (!called) return;
    called.hidden = which.value !== "";
    called.querySelector("input").required = !called.hidden;
  };
  if (called) which.addEventListener("change", fit);
  fit();
  try { if (!form.elements.by.value) form.elements.by.value = localStorage.getItem("by") || ""; } catch { /* nothing is kept here */ }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button"), error = form.querySelector(".error");
    button.disabled = true;
    error.hidden = true;
    const values = Object.fromEntries(new FormData(form));
    try { localStorage.setItem("by", values.by); } catch { /* nor there */ }
    const answer = await post(form.dataset.send, JSON.stringify(values), { "Content-Type": "application/json" }).catch(() => null);
    const told = answer && await answer.json().catch(() => null);
    button.disabled = false;
    if (answer && answer.ok) {
      location.href = `${told.url}?lang=${lang}`;
      if (told.again) setTimeout(() => location.reload(), 1500);  // the log has a line more
      return;
    }
    byId("away").hidden = Boolean(answer);
    error.textContent = told ? told.error : document.body.dataset.outOfDate;
    error.hidden = !answer;
  });
}

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
  document.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
    else { clear(); say(drop.dataset.link); }
  });
  const pick = () => [...document.querySelectorAll("input.pick:checked")].map((box) => box.value);
  const two = byId("compare");
  if (two) {
    document.addEventListener("change", () => { two.disabled = pick().length !== 2; });
    two.addEventListener("click", async () => {
      const [b, a] = pick();  // the list shows the newest first
      const answer = await post(`/compare?a=${a}&b=${b}&lang=${lang}`).catch(() => null);
      if (answer && answer.ok) location.href = `${(await answer.json()).url}?lang=${lang}`;
    });
  }
  input.addEventListener("change", () => take(input.files));
}

function clear() {
  byId("notice").hidden = true;
  byId("notice").replaceChildren();
}

function say(...parts) {
  const line = document.createElement("p");
  line.append(...parts);
  byId("notice").hidden = false;
  byId("notice").append(line);
}

let refused = [];  // [name, why]
function refuse(...one) {
  refused.push(one);
  const name = document.createElement("strong");
  name.textContent = one[0];
  say(name, " · ", drop.dataset.refused, one[1]);
}

let taking = 0, taken = [];  // files on their way; where the others are shown
async function take(files) {
  if (!taking) {
    clear();
    refused = [];
    try { sessionStorage.removeItem("refused"); } catch { /* nor was before */ }
  }
  taking += files.length;
  for (const file of [...files]) {
    if (file.size > Number(drop.dataset.limit)) refuse(file.name, drop.dataset.tooLarge);
    else {
      const url = await send(file).catch(() => refuse(file.name, drop.dataset.cutShort));
      if (url) taken.push(url);
    }
    taking -= 1;
  }
  if (taking || !taken.length) return;  // who leaves the page would cut short what is on its way
  if (taken.length === 1 && !refused.length) { location.href = `${taken[0]}?lang=${lang}`; return; }
  try { sessionStorage.setItem("refused", JSON.stringify(refused)); } catch { /* then they are told here alone */ }
  location.reload();
}

if (drop) {
  try {  // told until the page is left: it is shown anew whenever a clip is done
    if (performance.getEntriesByType("navigation")[0].type !== "reload") sessionStorage.removeItem("refused");
    for (const one of JSON.parse(sessionStorage.getItem("refused")) || []) refuse(...one);
  } catch { /* nothing is kept */ }
}

function send(file) {
  return new Promise((resolve, reject) => {
    const bar = document.createElement("progress");
    bar.max = 1;
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.className = "title";
    name.textContent = file.name;
    item.append(document.createElement("span"), name, bar);
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
      let why = document.body.dataset.outOfDate;
      try { why = JSON.parse(request.responseText).error; } catch { /* the guard speaks no language */ }
      refuse(file.name, why);
      resolve(null);
    };
    request.send(file);
  });
}

// ---- watching progress

async function watchOne(box) {
  const answer = await ask(`/clips/${box.dataset.clip}/state.json?lang=${lang}`);
  if (answer && answer.status === 404) { location.href = `/?lang=${lang}`; return; }
  if (answer && answer.ok) {
    const now = await answer.json();
    if (!now.active) { location.reload(); return; }
    byId("what").textContent = now.text;
    byId("share").value = now.share;
    byId("left").textContent = [now.stage && now.left ? "·" : "", now.left].join(" ");
    if (byId("stage").textContent !== now.stage) byId("stage").textContent = now.stage;
  }
  setTimeout(() => watchOne(box), 500);
}

async function watchAll() {
  const answer = await ask(`/clips.json?lang=${lang}`);
  if (answer && answer.ok) {
    for (const now of await answer.json()) {
      const item = document.querySelector(`li[data-clip="${now.id}"][data-active="yes"]`);
      if (!item) continue;
      if (!now.active) { location.reload(); return; }
      const text = [now.stage || now.text, now.left].filter(Boolean).join(" · ");
      if (item.querySelector(".what").textContent !== text) item.querySelector(".what").textContent = text;
    }
  }
  if (document.querySelector('li[data-active="yes"]')) setTimeout(watchAll, 1000);
}

const waiting = byId("waiting");
if (waiting && waiting.dataset.active === "yes") watchOne(waiting);
if (document.querySelector('li[data-active="yes"]')) watchAll();

// ---- strips and stills move the video

const video = byId("video");
// Times of a report count from the first picture, a player's from where the file's own clock begins.
const begins = Number((video && video.parentElement.dataset.start) || 0);
const strips = [...document.querySelectorAll("svg.strip[data-seek]")];

function seek(seconds) {
  if (!(video instanceof HTMLVideoElement)) return;
  video.currentTime = Math.max(0, Math.min(begins + seconds, (video.duration || begins + seconds) - 0.001));
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
  });
}

// ---- one frame on or back, and slow motion

function step(frames) {
  if (!(video instanceof HTMLVideoElement)) return;
  video.pause();
  const length = 1 / Number(byId("player").dataset.fps);
  // to the middle of a frame, so that rounding never shows the one before
  seek((Math.floor((video.currentTime - begins) / length + 1e-3) + frames + 0.5) * length);
}

if (byId("back")) {
  byId("back").addEventListener("click", () => step(-1));
  byId("on").addEventListener("click", () => step(1));
  byId("speed").addEventListener("change", () => { video.playbackRate = Number(byId("speed").value); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, textarea")) return;
    if (event.key === ",") step(-1);
    else if (event.key === ".") step(1);
  });
}

// ---- copying

async function picture(address) {
  const bitmap = await createImageBitmap(await (await fetch(address)).blob());
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));  // what every clipboard takes
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy], button[data-copy-text]");
  if (!button) return;
  let said = document.body.dataset.copied;
  try {
    if (button.dataset.copyText) await navigator.clipboard.writeText(button.dataset.copyText);
    else await navigator.clipboard.write([new ClipboardItem({ "image/png": picture(button.dataset.copy) })]);
  } catch {
    said = document.body.dataset.notCopied;
  }
  const before = button.textContent;
  button.textContent = said;
  tell(said);
  setTimeout(() => { button.textContent = before; }, 1500);
});

// ---- the magnifier: each pixel of the picture as several, about where the pointer or the arrow keys are

for (const shown of document.querySelectorAll("img[data-magnify]")) {
  const glass = document.createElement("canvas");
  glass.className = "glass";
  glass.width = glass.height = 220;
  glass.hidden = true;
  glass.setAttribute("aria-hidden", "true");
  shown.parentElement.append(glass);
  shown.parentElement.classList.add("under-glass");
  const at = { x: 0.5, y: 0.5 };
  const draw = () => {
    const across = Math.max(24, Math.min(shown.naturalWidth / 6, 80));
    const context = glass.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.fillRect(0, 0, 220, 220);
    context.drawImage(shown, at.x * shown.naturalWidth - across / 2, at.y * shown.naturalHeight - across / 2, across, across, 0, 0, 220, 220);
    glass.style.left = `${shown.offsetLeft + at.x * shown.clientWidth - 110}px`;
    glass.style.top = `${shown.offsetTop + at.y * shown.clientHeight - 110}px`;
    glass.hidden = false;
  };
  shown.addEventListener("pointermove", (event) => {
    const room = shown.getBoundingClientRect();
    at.x = (event.clientX - room.left) / room.width;
    at.y = (event.clientY - room.top) / room.height;
    draw();
  });
  shown.addEventListener("focus", draw);
  for (const name of ["pointerleave", "blur"]) shown.addEventListener(name, () => { glass.hidden = true; });
  shown.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by) return;
    at.x = Math.min(1, Math.max(0, at.x + by[0] / 50));
    at.y = Math.min(1, Math.max(0, at.y + by[1] / 50));
    draw();
    event.preventDefault();
  });
}

// ---- two clips played together along what they have in common

const players = byId("players");
if (players) {
  const [one, other] = players.querySelectorAll("video");
  const spans = JSON.parse(players.dataset.spans);
  const follow = () => {
    const t = one.currentTime;
    const span = spans.find((s) => t >= s.a && t < s.a_end);
    const wanted = span ? t - span.a + span.b : null;
    if (wanted === null) other.pause();
    else {
      if (Math.abs(other.currentTime - wanted) > 0.08) other.currentTime = wanted;
      if (!one.paused && other.paused) other.play().catch(() => {});
      if (one.paused) other.pause();
    }
    byId("moment").value = one.duration ? (1000 * t) / one.duration : 0;
    if (!one.paused && !one.ended) requestAnimationFrame(follow);
  };
  for (const name of ["play", "pause", "seeked"]) one.addEventListener(name, follow);
  byId("both").addEventListener("click", () => { if (one.paused) one.play(); else one.pause(); });
  byId("moment").addEventListener("input", () => { one.currentTime = (byId("moment").value / 1000) * (one.duration || 0); });
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
    const t = (video.currentTime || 0) - begins;
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
      show(Math.max(0, video.currentTime - begins));
      if (!video.paused && !video.ended) requestAnimationFrame(follow);
    };
    for (const name of ["loadedmetadata", "play", "pause", "seeked", "timeupdate"]) video.addEventListener(name, follow);
    video.addEventListener("error", () => { player.hidden = true; byId("unplayed").hidden = false; });
  } else {
    video.addEventListener("load", draw);
  }
  if (byId("boxes")) byId("boxes").addEventListener("change", draw);
  window.addEventListener("resize", draw);
}
