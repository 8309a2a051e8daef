// Comfort on top of a form that works without it.
(() => {
  const form = document.querySelector(".stateroom").closest("form");
  const custom = document.getElementById("stateroom-custom");
  const chosen = (field) => form.querySelector(`[name=${field}]:checked`)?.value;

  // Keeps each slider and its number in step. Whoever touches one of them wants custom amounts.
  for (const amount of form.querySelectorAll(".stateroom-amount")) {
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

  // A size that goes with some images only cannot be picked with another.
  const tie = () => {
    const image = chosen("image");
    for (const size of image ? form.querySelectorAll("[data-images]") : []) {
      size.disabled = !size.dataset.images.split(" ").includes(image);
      if (size.disabled && size.checked) form.querySelector("[name=size][data-default]").checked = true;
    }
  };

  // A link that fills in this form for whoever opens it. It starts nothing.
  const link = form.querySelector(".stateroom-link");
  const fill = () => {
    const address = new URL(location.pathname.replace(/\/spawn(\/.*)?$/, "/spawn"), location.href);
    const fields = ["image", "size"].map((field) => [field, chosen(field)]);
    if (custom?.checked) {
      fields.push(...["cpu", "memory", "gpu"].map((field) => [field, form.elements[field]?.value]));
    }
    for (const [field, value] of fields) {
      const isNumber = field === "memory" && /^[0-9.,]+$/.test(value);
      if (value) address.searchParams.set(`opt-${field}`, isNumber ? `${value.replace(",", ".")} GiB` : value);
    }
    link.href = address;
  };
  const copied = form.querySelector(".stateroom-copied");
  link.addEventListener("click", (event) => {
    if (!navigator.clipboard) return; // the link leads there
    event.preventDefault();
    navigator.clipboard.writeText(link.href).then(
      () => (copied.textContent = "Copied"),
      () => location.assign(link.href),
    );
  });

  const follow = () => {
    tie();
    fill();
    copied.textContent = "";
  };
  form.addEventListener("input", follow);
  follow();
  link.hidden = false;

  // The hub hides its button at a submit; a page from the browser's history would lack it.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
})();
