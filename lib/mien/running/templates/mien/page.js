"use strict";
// What the page can do beyond being read; without this script everything is still shown.
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // Light or dark: the reader's system decides until the reader does.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = { // file: pages may have no storage at all
    get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
    set: (theme) => { try { localStorage.setItem("theme", theme); } catch { /* this page only */ } },
  };
  const theme = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const known = remembered.get();
  if (known === "light" || known === "dark") root.dataset.theme = known;

  const themeButton = () => {
    const button = document.getElementById("theme");
    const label = () => {
      button.textContent = theme() === "dark" ? "Light" : "Dark";
      button.setAttribute("aria-label", `${button.textContent} colours`);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = theme() === "dark" ? "light" : "dark";
      remembered.set(root.dataset.theme);
      label();
    });
    dark.addEventListener("change", label);
    label();
    button.hidden = false;
  };

  const codeButton = () => {
    const folds = [...document.querySelectorAll(".cell > details.code")];
    const button = document.getElementById("show-code");
    if (!folds.length) return;
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-pressed") !== "true";
      folds.forEach((fold) => { fold.open = open; });
      button.setAttribute("aria-pressed", open);
    });
    button.hidden = false;
  };

  // On a narrow page the contents unfold at a button.
  const contentsButton = () => {
    const button = document.getElementById("contents-toggle");
    const show = (open) => button.setAttribute("aria-expanded", open);
    button.addEventListener("click", () => show(button.getAttribute("aria-expanded") !== "true"));
    document.getElementById("contents").addEventListener("click", (event) => {
      if (event.target.closest("a")) show(false);
    });
    button.hidden = false;
  };

  // The section at the top of the window is marked in the contents.
  const markSection = () => {
    const links = new Map();
    for (const link of document.querySelectorAll(".sections a")) {
      const heading = document.getElementById(decodeURIComponent(link.hash.slice(1)));
      if (heading) links.set(heading, link);
    }
    const mark = () => {
      let current = null;
      for (const heading of links.keys()) {
        if (heading.getBoundingClientRect().top < 0.34 * innerHeight) current = heading;
      }
      for (const [heading, link] of links) {
        if (heading === current) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    };
    // All that lies above the line counts as in sight, so that no jump goes unseen.
    const observer = new IntersectionObserver(mark, { rootMargin: "9999999px 0px -66% 0px" });
    for (const heading of links.keys()) observer.observe(heading);
    mark();
  };

  // Column headers become buttons that sort; numbers start with the largest.
  const sortTable = (table) => {
    const body = table.tBodies[0];
    const headers = [...table.tHead.rows[0].cells];
    const value = (row, column) => {
      const cell = row.cells[column];
      return "sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent.trim();
    };
    const compare = (a, b) => {
      const numbers = [typeof a === "number", typeof b === "number"];
      if (numbers[0] && numbers[1]) return a - b;
      if (numbers[0] || numbers[1]) return numbers[0] ? 1 : -1;
      return a.localeCompare(b, "en", { numeric: true });
    };
    headers.forEach((header, column) => {
      if (!header.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const down = header.hasAttribute("aria-sort")
          ? header.getAttribute("aria-sort") === "ascending"
          : header.classList.contains("mien-number");
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", down ? "descending" : "ascending");
        const sign = down ? -1 : 1;
        body.append(...[...body.rows].sort(
          (a, b) => sign * compare(value(a, column), value(b, column))));
      });
    });
  };

  const filterGallery = (gallery) => {
    const controls = gallery.querySelector(".mien-filter");
    const cards = [...gallery.querySelectorAll(".mien-card")];
    const filter = () => {
      const emotion = controls.querySelector("select").value;
      const models = [...controls.querySelectorAll("input:checked")].map((box) => box.value);
      const shown = cards.filter((card) => {
        const erred = card.dataset.erred.split(" ");
        const fits = (!emotion || card.dataset.emotion === emotion)
          && models.every((model) => erred.includes(model));
        card.hidden = !fits;
        return fits;
      });
      controls.querySelector(".mien-shown").textContent =
        `${shown.length} of ${cards.length} faces`;
    };
    controls.addEventListener("change", filter);
    filter();
    controls.hidden = false;
  };

  document.addEventListener("DOMContentLoaded", () => {
    themeButton();
    codeButton();
    contentsButton();
    markSection();
    document.querySelectorAll(".mien-sortable").forEach(sortTable);
    document.querySelectorAll(".mien-faces-answers").forEach(filterGallery);
  });
})();
