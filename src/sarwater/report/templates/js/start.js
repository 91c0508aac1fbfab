/* Last: show the page, then wake the chart library once it has been drawn. */
"use strict";

document.documentElement.classList.add("js");
sarwater.show(false);
performance.mark("shown");
addEventListener("load", () => {
  requestAnimationFrame(() =>
    setTimeout(() => {
      const script = document.createElement("script");
      script.textContent = document.getElementById("plotly").textContent;
      document.head.append(script);
      sarwater.charts.drawAll(false);
      performance.mark("ready");
      document.documentElement.dataset.ready = "yes";
      sarwater.buildRest();
    }, 0),
  );
});
