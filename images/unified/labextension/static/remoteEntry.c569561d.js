/* An extension of JupyterLab, as its page loads one: a container of modules, written by hand since it needs none.

   Lab opens its launcher after it has saved its state, and saves that half a second after the last change of it:
   a second of every first page. Where nothing else will be opened, the launcher can be there at once. */
"use strict";

const plugin = {
  id: "@stateroom/lab:launcher",
  description: "Opens the launcher as soon as the layout is restored, if nothing else is open.",
  autoStart: true,
  activate: app => {
    // A page of a file or a folder opens that, and decides for itself what else.
    const nothingElse = /\/lab(\/workspaces\/[^/]+)?\/?$/.test(window.location.pathname);
    app.restored.then(() => {
      if (nothingElse && app.shell.isEmpty && app.shell.isEmpty("main")) {
        app.commands.execute("launcher:create");
      }
    });
  },
};

window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB["@stateroom/lab"] = {
  init: () => {},
  get: async () => () => ({ __esModule: true, default: plugin }),
};
