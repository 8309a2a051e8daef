// Comfort on top of a form that works without it.
(() => {
  const form = document.querySelector(".stateroom").closest("form");
  const part = (name) => form.querySelector(`.stateroom-${name}`);
  const custom = document.getElementById("stateroom-custom");
  const chosen = (field) => form.querySelector(`[name=${field}]:checked`);
  // Isolated, so that a title from right to left does not turn the sentence round.
  const title = (radio) => `“\u2068${document.getElementById(`${radio.id}-title`).textContent}\u2069”`;

  // Keeps each slider and its number in step. Whoever touches one of them wants custom amounts.
  for (const amount of form.querySelectorAll(".stateroom-amount")) {
    const field = amount.querySelector("[type=text]");
    const slider = amount.querySelector("[type=range]");
    const follow = () => {
      const number = Number(field.value.replace(",", ".") || NaN);
      if (slider) slider.value = Number.isNaN(number) ? slider.min : number;
    };
    field.addEventListener("input", () => {
      follow();
      custom.checked = true;
    });
    slider?.addEventListener("input", () => {
      field.value = slider.value;
      custom.checked = true;
    });
    follow();
    slider?.removeAttribute("hidden");
  }

  // A size that goes with some images only cannot be picked with another. The image's return brings it back.
  let parted = null;
  const tie = (event) => {
    if (event?.target.name !== "image") parted = null;
    const image = chosen("image")?.value;
    for (const size of image ? form.querySelectorAll("[data-images]") : []) {
      size.disabled = !size.dataset.images.split(" ").includes(image);
      if (size.disabled && size.checked) parted = size;
    }
    if (parted?.disabled) form.querySelector("[name=size][data-default]").checked = true;
    else if (parted) parted.checked = true;
    part("parted").textContent = parted?.disabled
      ? `${title(parted)} does not go with this image; ${title(chosen("size"))} is chosen instead.`
      : "";
  };

  // A link that fills in this form for whoever opens it. It starts nothing.
  const link = part("link");
  const fill = () => {
    const address = new URL(location.pathname.replace(/\/spawn(\/.*)?$/, "/spawn"), location.href);
    const fields = ["image", "size"].map((field) => [field, chosen(field)?.value]);
    if (custom?.checked) {
      const amounts = form.querySelectorAll(".stateroom-amount [type=text]");
      fields.push(...[...amounts].map((amount) => [amount.name, amount.value]));
    }
    for (const [field, value] of fields) if (value) address.searchParams.set(`opt-${field}`, value);
    link.href = address;
  };
  // Browsers lend the clipboard to safe addresses only; elsewhere the link leads there.
  if (!navigator.clipboard) link.textContent = "Link to this choice";
  link.addEventListener("click", (event) => {
    if (!navigator.clipboard) return;
    event.preventDefault();
    navigator.clipboard.writeText(link.href).then(
      () => (part("copied").textContent = "Copied"),
      () => location.assign(link.href),
    );
  });

  const follow = (event) => {
    tie(event);
    fill();
    part("copied").textContent = "";
  };
  form.addEventListener("input", follow);
  follow();
  // The hub's button, which comes after this script, comes before the link.
  addEventListener("DOMContentLoaded", () => {
    form.append(part("share"));
    part("share").hidden = false;
  });

  // The hub hides its button at a submit; a page from the browser's history would lack it.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
})();
