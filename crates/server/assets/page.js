// Refreshes what is shown every thirty seconds, unless that is switched off.
"use strict";
const box = document.getElementById("auto");
const status = document.getElementById("refreshed");
box.checked = localStorage.getItem("refresh") !== "off";
box.parentElement.hidden = false;
box.addEventListener("change", () => localStorage.setItem("refresh", box.checked ? "on" : "off"));
const refresh = async () => {
  // What somebody is reading with the keyboard or has selected is left alone.
  const main = document.querySelector("main");
  if (!box.checked || document.hidden || main.contains(document.activeElement) || !getSelection().isCollapsed) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    main.replaceWith(document.adoptNode(page.querySelector("main")));
    status.textContent = "";
  } catch {
    status.textContent = "not refreshed: the service does not answer";
  }
};
setInterval(refresh, 30000);
