// Follows a study while it runs. Without this script the page loads itself again.
"use strict";

(() => {
  const place = document.getElementById("answer");
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const running = (part) => part.querySelector("[data-study]");

  function update(html) {
    const next = document.createElement("template");
    next.innerHTML = html;
    const now = running(place);
    const then = running(next.content);
    if (!then) {
      place.replaceChildren(next.content);
      document.getElementById("said").textContent = place.querySelector("[data-said]").dataset.said;
      place.focus();
      return;
    }
    const [bar, value] = [now, then].map((part) => part.querySelector("progress"));
    bar.max = value.max;
    bar.value = value.value;
    now.querySelector("[data-progress]").textContent =
      then.querySelector("[data-progress]").textContent;
  }

  async function follow() {
    for (let failures = 0; running(place) && failures < 5; ) {
      try {
        // the server waits before it answers, so that a page that is not seen goes on, too
        const response = await fetch(running(place).dataset.study, { headers: { "X-Part": "answer" } });
        if (response.status === 404) return location.reload();
        if (!response.ok) throw new Error(response.statusText);
        update(await response.text());
        failures = 0;
      } catch (error) {
        failures += 1;
        await pause(1000 * failures);
      }
    }
    const text = running(place) && running(place).querySelector("[data-progress]");
    if (text) text.textContent = JSON.parse(document.body.dataset.words).silent;
  }

  follow();
})();
