/* Runs before the page is drawn, so that a chosen theme does not flash. */
"use strict";
(() => {
  const key = "sarwater-theme";
  const remembered = () => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage is refused to pages from disk by some browsers
    }
  };
  const chosen = remembered();
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const now = () => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
  const tell = () => {
    document.getElementById("theme-name").textContent = now() === "dark" ? "Dark" : "Light";
    document.dispatchEvent(new Event("themechange"));
  };
  system.addEventListener("change", tell);
  document.addEventListener("DOMContentLoaded", () => {
    tell();
    document.getElementById("theme").addEventListener("click", () => {
      const next = now() === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try {
        localStorage.setItem(key, next);
      } catch {
        // it holds until the page is closed
      }
      tell();
    });
  });
})();
