// One face, eight answers. Keys: 1 to 7 or the letter on the button, space, backspace, arrows.
const LETTERS = { angry: "a", disgust: "d", fear: "f", happy: "h", sad: "s", surprise: "u", neutral: "n" };

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const host = element("div", {
    class: "mien-label",
    tabindex: "0",
    role: "group",
    "aria-label": "Rate the face",
    "data-lm-suppress-shortcuts": "true",
  });
  const count = element("p", { class: "mien-count" });
  const picture = element("img", { alt: "the face to be rated" });
  const answers = element("div", { class: "mien-answers" });
  const live = element("p", { class: "mien-live", role: "status", "aria-live": "polite" });
  const problem = element("p", { class: "mien-problem", role: "alert" });
  const help = element(
    "p",
    { class: "mien-help" },
    "Keys: the number or letter of an answer, space: cannot tell, backspace: undo, arrows: look around.",
  );
  const undo = element("button", { type: "button", class: "mien-undo" }, "undo (backspace)");
  host.append(count, picture, answers, undo, live, problem, help);
  el.append(host);

  let since = performance.now();
  const send = (message) => model.send(message);
  const give = (label) => {
    if (model.get("face").done) return;
    said = label === "unknown" ? "cannot tell" : label;
    send({ do: "answer", label, seconds: (performance.now() - since) / 1000 });
  };
  let said = "";
  const keys = {};
  undo.addEventListener("click", () => { said = "taken back"; send({ do: "undo" }); });

  function buttons(names) {
    answers.replaceChildren();
    names.forEach((name, place) => {
      const unknown = name === "unknown";
      const key = unknown ? "space" : `${place + 1} or ${LETTERS[name]}`;
      keys[unknown ? " " : String(place + 1)] = name;
      if (!unknown) keys[LETTERS[name]] = name;
      const button = element("button", { type: "button", "data-answer": name });
      button.append(element("span", {}, unknown ? "cannot tell" : name), element("kbd", {}, key));
      button.addEventListener("click", () => { give(name); host.focus(); });
      answers.append(button);
    });
  }

  function show() {
    const face = model.get("face");
    if (answers.childElementCount !== face.answers.length) buttons(face.answers);
    const told = face.done
      ? `All ${face.total} answered. Go on below this cell.`
      : `Face ${face.number} of ${face.total}, ${face.left} left.`;
    count.textContent = told;
    picture.hidden = answers.hidden = face.done;
    if (face.picture) picture.src = face.picture;
    for (const button of answers.children) {
      button.setAttribute("aria-pressed", String(button.dataset.answer === face.given));
    }
    live.textContent = said ? `${said}. ${told}` : told;
    said = "";
    since = performance.now();
  }

  host.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const onButton = event.target instanceof HTMLButtonElement;
    if (onButton && (key === " " || key === "Enter")) return;
    if (key in keys) give(keys[key]);
    else if (key === "Backspace") { said = "taken back"; send({ do: "undo" }); }
    else if (key === "ArrowRight" || key === "ArrowLeft") send({ do: "step", by: key === "ArrowRight" ? 1 : -1 });
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const told = () => { problem.textContent = model.get("problem"); };
  model.on("change:face", show);
  model.on("change:problem", told);
  show();
  told();
  return () => { model.off("change:face", show); model.off("change:problem", told); };
}

export default { render };
