// Keeps each slider and its number in step. Whoever touches one of them wants custom amounts.
(() => {
  const custom = document.getElementById("stateroom-custom");
  for (const amount of document.querySelectorAll(".stateroom-amount")) {
    const field = amount.querySelector("[type=text]");
    const slider = amount.querySelector("[type=range]");
    const follow = () => {
      const number = Number(field.value.replace(",", ".") || NaN);
      if (!Number.isNaN(number)) slider.value = number;
    };
    field.addEventListener("input", () => {
      follow();
      custom.checked = true;
    });
    slider.addEventListener("input", () => {
      field.value = slider.value;
      custom.checked = true;
    });
    follow();
    slider.hidden = false;
  }
  // The hub hides its button at a submit; a page from the browser's history would lack it.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
})();
