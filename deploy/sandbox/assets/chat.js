// The chat page: plays one Telegram user against the sandbox's own API.
// Everything that a person or the bot wrote reaches the page as text, never as HTML.
"use strict";

const $ = (id) => document.getElementById(id);
const API = "/_sandbox/telegram";
const CALLBACK_WAIT_MS = 15000;
const TEXT_MAX = 4096;

const state = {
  user: null,
  users: [],
  seq: 0,
  run: 0,          // grows when the chat is opened anew: older loops end
  shown: new Map(), // message_id → element
  files: [],
  commands: [],
  blocked: false,
  pinned: true,    // the reader is at the end, and stays there
};

// --- small tools

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("Песочница не отвечает. Она запущена?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error || `Ошибка ${answer.status}`);
  return body;
}

const send = (path, body, method = "POST") =>
  call(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

function toast(text, bad = false) {
  const node = element("div", { textContent: text, className: bad ? "bad" : "" });
  $("toasts").append(node);
  setTimeout(() => node.remove(), 4500);
}

const attempt = async (work) => {
  try {
    return await work();
  } catch (error) {
    toast(error.message, true);
    return undefined;
  }
};

// --- text with entities

const WRAPPERS = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

function isLink(url) {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}

function wrapper(entity, text) {
  if (WRAPPERS[entity.type]) return element(WRAPPERS[entity.type]);
  const url = entity.type === "text_link" ? entity.url : entity.type === "url" ? text : null;
  if (url && isLink(url)) return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" });
  if (entity.type === "bot_command") {
    const command = element("button", { type: "button", className: "command" });
    command.onclick = () => sendText(text);
    return command;
  }
  if (entity.type === "spoiler") {
    const spoiler = element("span", { className: "spoiler", title: "Показать" });
    spoiler.onclick = () => spoiler.classList.add("open");
    return spoiler;
  }
  return element("span");
}

// Offsets are in UTF-16 code units, as JavaScript counts too.
function formatted(text, entities, from = 0, to = text.length) {
  const parts = [];
  let at = from;
  let index = 0;
  while (index < entities.length) {
    const entity = entities[index++];
    if (entity.offset < at) continue;
    const end = Math.min(entity.offset + entity.length, to);
    if (entity.offset >= to) break;
    const inside = [];
    while (index < entities.length && entities[index].offset < end) inside.push(entities[index++]);
    if (entity.offset > at) parts.push(text.slice(at, entity.offset));
    const node = wrapper(entity, text.slice(entity.offset, end));
    node.append(...formatted(text, inside, entity.offset, end));
    parts.push(node);
    at = end;
  }
  if (at < to) parts.push(text.slice(at, to));
  return parts;
}

// --- messages

function bytes(size) {
  if (size < 1024) return `${size} Б`;
  if (size < 1024 * 1024) return `${Math.round(size / 1024)} КБ`;
  return `${(size / 1024 / 1024).toFixed(1)} МБ`;
}

function shownWidth(width, height) {
  return Math.round(Math.min(width, 470, (380 * width) / height));
}

function photo(url, width, height, name) {
  const image = element("img", { src: url, alt: name, loading: "lazy" });
  if (width && height) {
    // The place is kept before the picture arrives, so nothing jumps.
    image.style.aspectRatio = `${width} / ${height}`;
    image.style.width = `${shownWidth(width, height)}px`;
  }
  image.onload = () => { if (state.pinned) toEnd(); };
  const frame = element("button", { type: "button", className: "photo", title: "Открыть целиком" }, image);
  frame.onclick = () => view(url, image, name);
  return frame;
}

function view(url, image, name) {
  $("viewer-image").src = url;
  $("viewer-size").textContent = `${image.naturalWidth} × ${image.naturalHeight}`;
  $("viewer-download").href = url;
  $("viewer-download").download = name;
  $("viewer").showModal();
}

function documentCard(file) {
  const name = file.file_name || "file";
  const card = element("a", { className: "file", href: file.url, download: name, title: "Скачать" },
    element("span", { className: "sign", textContent: "⤓" }),
    element("span", {},
      element("div", { className: "name", textContent: name }),
      element("div", { className: "size", textContent: `${bytes(file.file_size)}, скачать` })));
  const isPicture = ["image/jpeg", "image/png", "image/webp"].includes(file.mime_type);
  return isPicture ? [photo(file.url, 0, 0, name), card] : [card];
}

function key(message, button) {
  if (button.url && isLink(button.url)) {
    return element("a", { className: "key", href: button.url, target: "_blank", rel: "noopener noreferrer" },
      button.text, element("span", { className: "mark", textContent: "↗" }));
  }
  const node = element("button", { type: "button", className: "key", textContent: button.text });
  if (button.copy !== undefined) {
    node.append(element("span", { className: "mark", textContent: "⧉" }));
    node.onclick = () => attempt(async () => {
      await navigator.clipboard.writeText(button.copy);
      toast("Скопировано");
    });
  } else if (button.data !== undefined) {
    node.onclick = () => press(node, message.message_id, button.data);
  } else {
    node.disabled = true;
  }
  return node;
}

async function press(node, messageId, data) {
  if (node.classList.contains("waiting")) return;
  node.classList.add("waiting");
  await attempt(async () => {
    const pressed = await send(`${API}/users/${state.user.id}/press`, { message_id: messageId, data });
    const deadline = Date.now() + CALLBACK_WAIT_MS;
    while (Date.now() < deadline) {
      const answer = await call(`${API}/callbacks/${pressed.callback_query_id}`);
      if (answer.answered) {
        node.classList.add("answered");
        setTimeout(() => node.classList.remove("answered"), 900);
        if (answer.text && answer.show_alert) {
          $("alert-text").textContent = answer.text;
          $("alert").showModal();
        } else if (answer.text) {
          toast(answer.text);
        }
        return;
      }
      await pause(200);
    }
    toast("Бот не ответил на нажатие", true);
  });
  node.classList.remove("waiting");
}

function invoiceCard(message) {
  const { title, description, stars, paid } = message.invoice;
  const pay = element("button", { type: "button", className: "key pay", textContent: paid ? "Оплачено" : `Заплатить ⭐ ${stars}`, disabled: paid });
  pay.onclick = () => payInvoice(pay, message.message_id);
  return [
    element("strong", { textContent: title }),
    element("div", { className: "body", textContent: description }),
    element("div", { className: "keys" }, element("div", { className: "row" }, pay)),
  ];
}

// The bot is asked first, and has ten seconds to answer.
async function payInvoice(node, messageId) {
  node.classList.add("waiting");
  node.disabled = true;
  const answer = await attempt(() => send(`${API}/users/${state.user.id}/pay`, { message_id: messageId }));
  if (answer && !answer.paid) {
    const late = answer.error === "BOT_PRECHECKOUT_TIMEOUT";
    $("alert-text").textContent = late ? "Бот не ответил за 10 секунд. Звёзды не списаны." : answer.error;
    $("alert").showModal();
  }
  node.classList.remove("waiting");
  node.disabled = false;
}

function service(text, chargeId) {
  const node = element("button", { type: "button", className: "service", title: "Скопировать номер платежа" },
    element("div", { textContent: text }),
    element("small", { textContent: chargeId }));
  node.onclick = () => attempt(async () => {
    await navigator.clipboard.writeText(chargeId);
    toast("Номер платежа скопирован");
  });
  return node;
}

function showStars(stars) {
  $("stars").textContent = `⭐ ${stars}`;
}

function bubble(message) {
  const body = element("div", { className: "bubble" });
  const node = element("article", { className: message.from === "user" ? "message mine" : "message" }, body);
  if (message.photo) {
    body.classList.add("media");
    const { url, width, height } = message.photo;
    body.append(photo(url, width, height, `photo-${message.message_id}.jpg`));
    // The caption and the buttons are as wide as the picture.
    node.style.maxWidth = `min(92%, ${Math.max(260, shownWidth(width, height) + 8)}px)`;
  }
  if (message.document) {
    body.classList.add("media");
    body.append(...documentCard(message.document));
  }
  if (message.invoice) body.append(...invoiceCard(message));
  if (message.paid) body.append(service(`⭐ Вы заплатили ${message.paid.stars}`, message.paid.charge_id));
  if (message.refunded) body.append(service(`⭐ Вам возвращено ${message.refunded.stars}`, message.refunded.charge_id));
  const text = message.text ?? message.caption;
  if (text) {
    body.append(element("div", { className: "body" }, ...formatted(text, message.entities || [])));
  }
  const time = new Date(message.date * 1000).toLocaleTimeString("ru", { hour: "2-digit", minute: "2-digit" });
  body.append(element("span", { className: "meta", textContent: message.edited ? `изменено ${time}` : time }));
  if (message.buttons) {
    const rows = message.buttons.map((row) =>
      element("div", { className: "row" }, ...row.map((button) => key(message, button))));
    node.append(element("div", { className: "keys" }, ...rows));
  }
  node.dataset.id = message.message_id;
  node.dataset.day = new Date(message.date * 1000).toLocaleDateString("ru", { day: "numeric", month: "long" });
  return node;
}

function place(message) {
  const old = state.shown.get(message.message_id);
  if (message.deleted) {
    old?.remove();
    state.shown.delete(message.message_id);
    return;
  }
  const node = bubble(message);
  state.shown.set(message.message_id, node);
  if (old) {
    old.replaceWith(node);
    return;
  }
  const later = [...$("feed").querySelectorAll(".message")].find((other) => Number(other.dataset.id) > message.message_id);
  $("feed").insertBefore(node, later || null);
}

function separateDays() {
  $("feed").querySelectorAll(".day").forEach((day) => day.remove());
  let last = "";
  for (const node of $("feed").querySelectorAll(".message")) {
    if (node.dataset.day !== last) {
      last = node.dataset.day;
      node.before(element("div", { className: "day", textContent: last }));
    }
  }
}

const ACTIONS = {
  typing: "печатает…", upload_photo: "отправляет фото…", upload_document: "отправляет файл…",
};

function nearEnd() {
  const feed = $("feed");
  return feed.scrollHeight - feed.scrollTop - feed.clientHeight < 140;
}

function toEnd() {
  state.pinned = true;
  $("feed").scrollTop = $("feed").scrollHeight;
  $("down").hidden = true;
}

function show(answer, first) {
  const stay = !first && !nearEnd() && !answer.messages.some((message) => message.from === "user");
  answer.messages.forEach(place);
  if (answer.messages.length) separateDays();
  state.blocked = answer.blocked;
  showStars(answer.stars);
  $("typing").textContent = answer.action ? `Бот ${ACTIONS[answer.action] || "занят…"}` : "";
  $("typing").hidden = !answer.action;
  const empty = state.shown.size === 0;
  $("welcome").hidden = !empty;
  $("start").hidden = !empty || state.blocked;
  $("unblock").hidden = !state.blocked;
  $("composer").hidden = state.blocked || empty;
  $("block").hidden = state.blocked;
  if (stay) $("down").hidden = answer.messages.length === 0;
  else toEnd();
}

async function follow(run) {
  let first = true;
  while (run === state.run) {
    try {
      const wait = first ? 0 : 25000;
      const answer = await call(`${API}/users/${state.user.id}/chat?after=${state.seq}&wait_ms=${wait}`);
      if (run !== state.run) return;
      if (answer.seq < state.seq) {
        // The sandbox was started afresh.
        await openUser(state.user.id);
        return;
      }
      state.seq = answer.seq;
      show(answer, first);
      first = false;
    } catch (error) {
      if (run !== state.run) return;
      setBotState("нет связи с песочницей", false);
      await pause(1500);
      const users = await call(`${API}/users`).catch(() => null);
      if (users && !users.users.some((user) => user.id === state.user.id)) {
        await begin();
        return;
      }
    }
  }
}

// --- users

async function loadUsers() {
  state.users = (await call(`${API}/users`)).users;
  if (!state.users.length) {
    await send(`${API}/users`, {});
    state.users = (await call(`${API}/users`)).users;
  }
  $("users").replaceChildren(...state.users.map((user) =>
    element("option", { value: user.id, textContent: `${user.first_name} · ${user.id}` })));
}

function wantedUser() {
  const fromUrl = Number(new URLSearchParams(location.search).get("user"));
  const remembered = Number(localStorage.getItem("sandbox-user"));
  const known = (id) => state.users.some((user) => user.id === id);
  return [fromUrl, remembered].find(known) ?? state.users[0].id;
}

async function openUser(id) {
  state.run += 1;
  state.user = state.users.find((user) => user.id === id);
  state.seq = 0;
  state.shown.clear();
  $("feed").replaceChildren();
  $("users").value = id;
  $("typing").hidden = true;
  localStorage.setItem("sandbox-user", id);
  const url = new URL(location.href);
  url.searchParams.set("user", id);
  history.replaceState(null, "", url);
  follow(state.run);
}

async function begin() {
  await loadUsers();
  await openUser(wantedUser());
}

function setBotState(text, on) {
  $("bot-state").textContent = text;
  $("bot-state").classList.toggle("on", on);
}

async function watchBot() {
  for (;;) {
    try {
      const language = state.user?.language_code || "ru";
      const bot = await call(`${API}/bot?language=${encodeURIComponent(language)}`);
      $("bot-name").textContent = bot.first_name;
      $("description").textContent = bot.description || bot.short_description;
      state.commands = bot.commands;
      setBotState(bot.listening ? "бот на связи" : "бот ещё не на связи", bot.listening);
    } catch {
      setBotState("нет связи с песочницей", false);
    }
    await pause(2000);
  }
}

// --- writing

async function sendText(text) {
  // As Telegram's own applications do, a long text goes in pieces.
  for (let at = 0; at < text.length; at += TEXT_MAX) {
    const piece = text.slice(at, at + TEXT_MAX);
    if (piece.trim()) await attempt(() => send(`${API}/users/${state.user.id}/text`, { text: piece }));
  }
}

function isPhoto(file) {
  return ["image/jpeg", "image/png", "image/webp"].includes(file.type);
}

function addFiles(files) {
  for (const file of files) state.files.push({ file, asFile: !isPhoto(file), url: isPhoto(file) ? URL.createObjectURL(file) : null });
  showFiles();
}

function showFiles() {
  const strip = $("files");
  strip.hidden = state.files.length === 0;
  const cards = state.files.map((entry) => {
    const remove = element("button", { type: "button", textContent: "✕", title: "Убрать" });
    remove.onclick = () => {
      if (entry.url) URL.revokeObjectURL(entry.url);
      state.files.splice(state.files.indexOf(entry), 1);
      showFiles();
    };
    const picture = entry.url
      ? element("img", { src: entry.url, alt: "" })
      : element("span", { className: "sign", textContent: "📄" });
    return element("div", { className: "chosen" }, picture,
      element("span", { className: "name", textContent: entry.file.name }), remove);
  });
  strip.replaceChildren(...cards);
  const photos = state.files.filter((entry) => entry.url);
  if (photos.length) {
    const box = element("input", { type: "checkbox", checked: photos.every((entry) => entry.asFile) });
    box.onchange = () => photos.forEach((entry) => { entry.asFile = box.checked; });
    strip.append(element("label", { title: "Без сжатия, исходные байты" }, box, "файлом, без сжатия"));
  }
}

async function sendFiles(caption) {
  const entries = state.files.splice(0);
  showFiles();
  const album = entries.length > 1 ? String(Date.now()) : "";
  for (const [index, entry] of entries.entries()) {
    const query = new URLSearchParams();
    if (caption && index === 0) query.set("caption", caption);
    if (album) query.set("media_group_id", album);
    if (entry.asFile) {
      query.set("file_name", entry.file.name);
      if (entry.file.type) query.set("mime_type", entry.file.type);
    }
    const kind = entry.asFile ? "document" : "photo";
    await attempt(() => call(`${API}/users/${state.user.id}/${kind}?${query}`, { method: "POST", body: entry.file }));
    if (entry.url) URL.revokeObjectURL(entry.url);
  }
}

async function submit() {
  const text = $("text").value;
  $("text").value = "";
  grow();
  if (state.files.length) await sendFiles(text.trim());
  else if (text.trim()) await sendText(text);
}

function grow() {
  const area = $("text");
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight, 180)}px`;
}

function toggleCommands() {
  const menu = $("commands");
  if (!menu.hidden) {
    menu.hidden = true;
    return;
  }
  const items = state.commands.map((command) => {
    const item = element("button", { type: "button" },
      element("b", { textContent: `/${command.command}` }),
      element("span", { textContent: command.description }));
    item.onclick = () => {
      menu.hidden = true;
      sendText(`/${command.command}`);
    };
    return item;
  });
  menu.replaceChildren(...(items.length ? items : [element("p", { textContent: "Бот ещё не назвал своих команд. Попробуйте /start." })]));
  menu.hidden = false;
}

// --- the panel

const FAULTS = [
  { name: "fal", title: "fal.ai", choices: {
    refuse: "отказывает: содержание (422)", no_face: "не находит лица (422)", fail: "ломается (500)",
    hang: "висит", drop_submit: "принял и оборвал связь", locked: "нет денег на счёте (403)",
    file_gone: "файл результата пропал (404)", nsfw: "картинка скрыта фильтром",
  } },
  { name: "fal_webhooks", title: "Вебхуки fal.ai", choices: {
    lose: "теряются", double: "приходят дважды", delay: "опаздывают на 10 с", forge: "подделаны",
  } },
  { name: "notifications", title: "Уведомления ЮKassa", choices: {
    lose: "теряются", double: "приходят трижды", delay: "опаздывают на 10 с",
  } },
  { name: "yookassa", title: "API ЮKassa", choices: {
    fail_before: "500, ничего не сделав", fail_after: "500, но всё сделав", drop_after: "сделал и оборвал связь",
    slow: "отвечает на 2 с позже", hang: "молчит полминуты, потом 500", bad_gateway: "502 от прокси",
    too_many_requests: "429: слишком часто", receipt_required: "требует чек",
  } },
  { name: "refunds", title: "Возвраты ЮKassa", choices: {
    pending: "висят до завтра", refuse: "отклоняются: нет денег у магазина",
  } },
  { name: "telegram", title: "Telegram", choices: {
    too_many_requests: "429: слишком часто", drop_after: "принял и оборвал связь", repeat_updates: "повторяет обновления",
  } },
];
const WORK_MS = { "": "как обычно", 500: "полсекунды", 5000: "5 секунд", 20000: "20 секунд", 60000: "минуту" };

function options(pairs) {
  return pairs.map(([value, textContent]) => element("option", { value, textContent }));
}

const change = (changes) => attempt(async () => showFaults(await send("/_sandbox/faults", changes, "PATCH")));

function buildFaults() {
  for (const { name, title, choices } of FAULTS) {
    const what = element("select", { id: `fault-${name}` },
      ...options([["", "работает как надо"], ...Object.entries(choices)]));
    const count = element("select", { id: `count-${name}`, className: "count" },
      ...options([["", "всегда"], ["1", "1 раз"], ["2", "2 раза"], ["3", "3 раза"]]));
    what.setAttribute("aria-label", title);
    count.setAttribute("aria-label", `${title}: сколько раз`);
    const apply = () => change({ [name]: what.value || null, [`${name}_count`]: what.value && count.value ? Number(count.value) : null });
    what.onchange = apply;
    count.onchange = apply;
    $("faults").append(element("div", { className: "fault", id: `box-${name}` },
      element("span", { textContent: title }), element("div", { className: "choices" }, what, count)));
  }
  const work = element("select", { id: "fal-work" }, ...options(Object.entries(WORK_MS).sort(([a], [b]) => Number(a) - Number(b))));
  work.setAttribute("aria-label", "Сколько fal.ai работает над картинкой");
  work.onchange = () => change({ fal_work_ms: work.value ? Number(work.value) : null });
  $("faults").append(element("div", { className: "fault" },
    element("span", { textContent: "fal.ai работает над картинкой" }), element("div", { className: "choices" }, work)));
}

function choose(select, value, label) {
  const text = value === null || value === undefined ? "" : String(value);
  if (![...select.options].some((option) => option.value === text)) {
    select.append(element("option", { value: text, textContent: label(text) }));
  }
  select.value = text;
}

function showFaults(faults) {
  for (const { name } of FAULTS) {
    $(`box-${name}`).classList.toggle("on", Boolean(faults[name]));
    choose($(`fault-${name}`), faults[name], (value) => value);
    choose($(`count-${name}`), faults[`${name}_count`], (value) => `${value} раз`);
  }
  choose($("fal-work"), faults.fal_work_ms, (value) => `${value} мс`);
}

async function watchFaults() {
  for (;;) {
    const busy = $("faults").contains(document.activeElement);
    if (!document.hidden && !busy) await call("/_sandbox/faults").then(showFaults).catch(() => {});
    await pause(2500);
  }
}

function panel(open) {
  $("panel").classList.toggle("open", open);
  $("shade").hidden = !open;
  $("open-panel").setAttribute("aria-expanded", String(open));
}

// --- wiring

$("composer").onsubmit = (event) => {
  event.preventDefault();
  submit();
};
$("text").oninput = grow;
$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    submit();
  }
};
$("text").onpaste = (event) => {
  if (event.clipboardData.files.length) {
    event.preventDefault();
    addFiles(event.clipboardData.files);
  }
};
$("start").onclick = () => sendText("/start");
$("unblock").onclick = () => attempt(() => send(`${API}/users/${state.user.id}/unblock`, {}).then(() => openUser(state.user.id)));
$("block").onclick = () => attempt(() => send(`${API}/users/${state.user.id}/block`, {}).then(() => openUser(state.user.id)));
$("more-stars").onclick = () => attempt(async () => showStars((await send(`${API}/users/${state.user.id}/stars`, { amount: 1000 })).stars));
$("attach").onclick = () => $("picker").click();
$("picker").onchange = () => {
  addFiles($("picker").files);
  $("picker").value = "";
};
$("commands-toggle").onclick = toggleCommands;
document.addEventListener("click", (event) => {
  if (!event.target.closest("#commands, #commands-toggle")) $("commands").hidden = true;
});
$("users").onchange = () => openUser(Number($("users").value));
$("new-user").onclick = () => attempt(async () => {
  const user = await send(`${API}/users`, {});
  await loadUsers();
  await openUser(user.id);
  toast(`Теперь вы — ${user.first_name}`);
});
$("down").onclick = toEnd;
$("feed").onscroll = () => {
  state.pinned = nearEnd();
  if (state.pinned) $("down").hidden = true;
};
$("open-panel").onclick = () => panel(true);
$("close-panel").onclick = () => panel(false);
$("shade").onclick = () => panel(false);
$("all-off").onclick = () => attempt(async () => showFaults(await send("/_sandbox/faults", {}, "PUT")));
$("viewer").onclick = (event) => { if (event.target === $("viewer")) $("viewer").close(); };

let dragged = 0;
document.addEventListener("dragenter", (event) => {
  event.preventDefault();
  dragged += 1;
  $("drop").hidden = false;
});
document.addEventListener("dragleave", () => {
  dragged -= 1;
  if (dragged <= 0) $("drop").hidden = true;
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  dragged = 0;
  $("drop").hidden = true;
  if (event.dataTransfer.files.length && state.shown.size) addFiles(event.dataTransfer.files);
});

buildFaults();
watchFaults();
watchBot();
(async () => {
  while (state.user === null) {
    await begin().catch(() => setBotState("нет связи с песочницей", false));
    if (state.user === null) await pause(1500);
  }
})();
