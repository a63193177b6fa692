"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  let payment = JSON.parse(element("state").textContent);

  const cards = [
    ["Успех, с 3-D Secure", null, ["5555555555554477", "4793128161644804", "2200000000000004"]],
    ["Успех, без 3-D Secure", null, ["5555555555554444", "4111111111111111", "2202474301322987"]],
    ["Недостаточно денег", "insufficient_funds", ["5555555555554600", "4562265587712390", "2200000000000053"]],
    ["3-D Secure не пройден", "3d_secure_failed", ["5555555555554592", "4839665499603842", "2200000000000012"]],
    ["Нужно позвонить в банк", "call_issuer", ["5555555555554535", "4926946416239025", "2200000000000020"]],
    ["Срок карты истёк", "card_expired", ["5555555555554543", "4141435412630840", "2200000000000038"]],
    ["Подозрение на мошенничество", "fraud_suspected", ["5555555555554568", "4483274282299972", "2200000000000046"]],
    ["Отказ без объяснения", "general_decline", ["5555555555554527", "4889971706588753", "2202202212312379"]],
    ["Неверный номер карты", "invalid_card_number", ["5555555555554618", "4951017853630544", "2201382000000013"]],
    ["Неверный CVC", "invalid_csc", ["5555555555554626", "4194180666146368", "2200770212727079"]],
    ["Банк не отвечает", "issuer_unavailable", ["5555555555554501", "4654130848359150", "2201382000000021"]],
    ["Исчерпан лимит", "payment_method_limit_exceeded", ["5555555555554576", "4565231022577548", "2201382000000039"]],
    ["Операции по карте запрещены", "payment_method_restricted", ["5555555555554550", "4233961169071671", "2201382000000047"]],
    ["Карты этой страны не принимают", "country_forbidden", ["5555555555554584", "4969751510013864", "2201382000000054"]],
    ["ЮKassa: подозрение на мошенничество", "fraud_suspected", ["5555555555554634", "4119098878796485", "2201696981989955"]],
  ];
  const reasons = {
    expired_on_confirmation: "Время на оплату вышло",
    expired_on_capture: "Магазин не забрал деньги вовремя",
    canceled_by_merchant: "Магазин отменил платёж",
    deal_expired: "Срок сделки истёк",
    identification_required: "Кошелёк нужно идентифицировать",
    internal_timeout: "ЮKassa не успела обработать платёж",
    loan_application_expired: "Срок заявки на кредит истёк",
    loan_declined: "В кредите отказано",
    loan_declined_by_payer: "Покупатель отказался от кредита",
    permission_revoked: "Разрешение на списание отозвано",
    rejected_by_timeout: "Платёж не подтвердили вовремя",
    unsupported_mobile_operator: "С номеров этого оператора платить нельзя",
  };
  for (const [label, reason] of cards) if (reason && !reasons[reason]) reasons[reason] = label;

  const chips = [
    ["Успех", "5555555555554477"], ["Успех без 3-DS", "4111111111111111"],
    ["Нет денег", "5555555555554600"], ["Отказ", "5555555555554527"], ["Карта истекла", "5555555555554543"],
  ];

  const digits = (text) => text.replace(/\D/g, "").slice(0, 16);
  const spaced = (text) => digits(text).replace(/(.{4})(?=.)/g, "$1 ");
  const rubles = (amount) => amount.value.replace(/\B(?=(\d{3})+\.)/g, "\u00a0").replace(".", ",").replace(/,00$/, "") + "\u00a0₽";

  function only(...shown) {
    for (const id of ["missing", "order", "form", "secure", "result"]) element(id).hidden = !shown.includes(id);
  }

  function fill(number) {
    element("number").value = spaced(number);
    element("error").hidden = true;
    element("number").scrollIntoView({ block: "center" });
  }

  function button(label, number, kind) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    if (kind) made.className = kind;
    made.addEventListener("click", () => fill(number));
    return made;
  }

  function lists() {
    for (const [label, number] of chips) {
      const found = cards.find(([, , numbers]) => numbers.includes(number));
      element("chips").append(button(label, number, found[1] ? "bad" : "good"));
    }
    for (const [label, reason, numbers] of cards) {
      const head = element("table").insertRow();
      const cell = document.createElement("th");
      cell.textContent = label;
      if (reason) cell.title = reason;
      head.append(cell);
      for (const number of numbers) {
        element("table").insertRow().insertCell().append(button(spaced(number), number));
      }
    }
  }

  function result(fresh) {
    only("order", "result");
    const good = payment.status !== "canceled";
    element("mark").className = good ? "mark good" : "mark bad";
    element("mark").textContent = good ? "✓" : "×";
    const title = { succeeded: "Оплачено", waiting_for_capture: "Деньги зарезервированы", canceled: "Платёж не прошёл" };
    element("title").textContent = fresh ? title[payment.status] : {
      succeeded: "Этот платёж уже оплачен",
      waiting_for_capture: "Деньги уже зарезервированы",
      canceled: "Этот платёж уже отменён",
    }[payment.status];
    element("text").textContent = payment.status === "succeeded"
      ? "Спасибо! Магазин узнает об оплате через несколько секунд."
      : payment.status === "canceled" ? (reasons[payment.reason] || payment.reason) + "." : "Магазин ещё должен подтвердить списание.";
    if (!payment.return_url) return;
    element("return").href = payment.return_url;
    element("return").hidden = false;
    if (fresh) countdown(4);
  }

  // The way back does not wait for the notification: the real page does not, either.
  function countdown(left) {
    if (left === 0) { location.assign(payment.return_url); return; }
    element("countdown").textContent = `Вернём в магазин через ${left} с`;
    setTimeout(countdown, 1000, left - 1);
  }

  function fail(text) {
    only("order", "form");
    element("error").textContent = text;
    element("error").hidden = false;
  }

  async function send(action, body) {
    for (const one of document.querySelectorAll("button")) one.disabled = true;
    try {
      const answer = await fetch(`/checkout/payments/${payment.id}/${action}`, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body || {}),
      });
      const read = await answer.json();
      if (answer.status === 422) { fail(read.error); return; }
      if (answer.status !== 200 && answer.status !== 409) throw new Error(answer.statusText);
      payment = read;
      result(answer.status === 200);
    } catch {
      fail("Песочница не ответила. Попробуйте ещё раз.");
    } finally {
      for (const one of document.querySelectorAll("button")) one.disabled = false;
    }
  }

  if (!payment) { only("missing"); return; }
  element("shop").textContent = `Магазин ${payment.shop}`;
  element("amount").textContent = rubles(payment.amount);
  element("description").textContent = payment.description;
  element("pay").textContent = `Оплатить ${rubles(payment.amount)}`;
  lists();
  element("number").addEventListener("input", (event) => { event.target.value = spaced(event.target.value); });
  element("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const number = digits(element("number").value);
    if (number.length !== 16) { fail("Введите 16 цифр или выберите карту из списка."); return; }
    element("error").hidden = true;
    if (cards[0][2].includes(number)) { only("order", "secure"); element("code").focus(); return; }
    send("pay", { number });
  });
  element("secure").addEventListener("submit", (event) => {
    event.preventDefault();
    send("pay", { number: digits(element("number").value) });
  });
  element("back").addEventListener("click", () => only("order", "form"));
  element("decline").addEventListener("click", () => send("decline"));
  element("expire").addEventListener("click", () => send("expire"));
  if (payment.status === "pending") only("order", "form"); else result(false);
})();
