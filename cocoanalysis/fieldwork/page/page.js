"use strict";
(() => {
  const form = document.getElementById("survey");
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const link = new URLSearchParams(location.search);
  const started = new Date();
  const questions = [...form.querySelectorAll("[data-question]")];

  const checked = name => form.querySelector(`input[name="${name}"]:checked`);
  const shown = element => !element.closest("[hidden]");
  const answers = name => {
    const field = form.querySelector(`input[name="${name}"]`);
    if (!field) return [];
    if (field.type !== "radio" && field.type !== "checkbox") return [field.value.trim()];
    return [...form.querySelectorAll(`input[name="${name}"]:checked`)].map(one => one.value);
  };
  const answer = name => answers(name).join(";");

  function language() { return checked("language") ? checked("language").value : facts.languages[0]; }
  function address() {
    if (!facts.address) return "other";
    return answer(facts.address.column) === facts.address.self ? "self" : "other";
  }

  function show() {
    const tongue = language(), form_of_address = address();
    document.documentElement.lang = tongue;
    for (const words of document.querySelectorAll("[data-address]")) words.hidden = words.dataset.address !== form_of_address;
    for (const field of questions) {
      const condition = field.dataset.show ? JSON.parse(field.dataset.show) : {};
      field.hidden = !Object.entries(condition).every(([name, values]) => answers(name).some(one => values.includes(one)));
      field.disabled = field.hidden;
    }
    for (const section of form.querySelectorAll("main section:has([data-question])")) {
      section.hidden = ![...section.querySelectorAll("[data-question]")].some(field => !field.hidden);
    }
    const asked = questions.filter(shown);
    const done = asked.filter(field => answer(field.dataset.question) !== "").length;
    for (const output of document.querySelectorAll("[data-progress]")) output.textContent = `${done} / ${asked.length}`;
  }

  function alone(event) {
    const box = event.target, field = box.closest(".multiple");
    if (!field || !box.checked) return;
    const reason = input => Boolean(input.closest(".reason"));
    for (const other of field.querySelectorAll("input")) {
      if (other !== box && (reason(box) || reason(other))) other.checked = false;
    }
  }

  function shuffled() {
    for (const section of form.querySelectorAll("section[data-random]")) {
      const fields = [...section.querySelectorAll("[data-question]")];
      for (let last = fields.length - 1; last > 0; last--) {
        const other = Math.floor(Math.random() * (last + 1));
        [fields[last], fields[other]] = [fields[other], fields[last]];
      }
      section.append(...fields);
    }
  }

  const quoted = text => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

  function record() {
    const row = {};
    for (const name of facts.identifiers) row[name] = link.get(name) || answer(name);
    row.surveyversion = facts.version;
    row.form = facts.form;
    row.language = language();
    row.started = started.toISOString();
    row.seconds = String(Math.round((Date.now() - started) / 1000));
    row.complete = "true";
    for (const field of questions) {
      const name = field.dataset.question;
      row[name] = shown(field) ? answer(name) : "";
      if (name === "consent") row[name] = row[name] ? "true" : "false";
    }
    return row;
  }

  function download(event) {
    event.preventDefault();
    if (!form.reportValidity()) return;
    const row = record();
    const text = "\ufeff" + Object.keys(row).map(quoted).join(",") + "\r\n" + Object.values(row).map(quoted).join(",") + "\r\n";
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([text], {type: "text/csv;charset=utf-8"}));
    anchor.download = `${facts.survey}-answers.csv`;
    anchor.click();
    document.getElementById("thanks").hidden = false;
    document.getElementById("thanks").focus();
  }

  for (const name of facts.identifiers) {
    const field = form.querySelector(`input[name="${name}"]`);
    if (field && link.get(name)) { field.value = link.get(name); field.readOnly = true; }
  }
  const wanted = link.get("language");
  if (wanted && facts.languages.includes(wanted)) form.querySelector(`input[name="language"][value="${wanted}"]`).checked = true;
  shuffled();
  form.addEventListener("change", alone);
  form.addEventListener("change", show);
  form.addEventListener("input", show);
  form.addEventListener("submit", download);
  show();
})();
