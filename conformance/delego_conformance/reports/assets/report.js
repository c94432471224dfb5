"use strict";
(() => {
  const form = document.getElementById("filter");
  const count = document.getElementById("count");
  const all = Array.from(document.querySelectorAll(".one"));
  const groups = Array.from(document.querySelectorAll(".group"));
  const texts = all.map((one) => one.textContent.toLowerCase());
  const field = (name) => form.elements.namedItem(name);

  const fits = (one, index) => {
    const verdict = field("verdict").value;
    const words = field("text").value.toLowerCase().split(/\s+/);
    return (verdict === "" || one.dataset.verdict === verdict ||
        (verdict === "against" && one.dataset.against === "yes")) &&
      (field("role").value === "" || one.dataset.roles.split(" ").includes(field("role").value)) &&
      (field("level").value === "" || one.dataset.level === field("level").value) &&
      words.every((word) => texts[index].includes(word));
  };
  const apply = () => {
    let shown = 0;
    all.forEach((one, index) => {
      const fitting = fits(one, index);
      one.classList.toggle("off", !fitting);
      shown += fitting ? 1 : 0;
    });
    for (const group of groups) {
      group.classList.toggle("off", group.querySelector(".one:not(.off)") === null);
    }
    count.textContent = `${shown} of ${all.length} vectors shown`;
  };
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target === null) return;
    if (target.closest(".off") !== null) {
      for (const name of ["verdict", "role", "level", "text"]) field(name).value = "";
      apply();
    }
    if (target.tagName === "DETAILS") target.open = true;
    target.scrollIntoView();
  };

  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  window.addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) reveal();
  });
  window.addEventListener("beforeprint", () => {
    for (const one of all) if (one.tagName === "DETAILS") one.open = true;
  });
  apply();
  if (location.hash) reveal();
})();
