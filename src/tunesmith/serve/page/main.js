// The chat page over HTTP: the models are those of the server that sent the page.
import { start } from "./app.js";
import { HttpBackend } from "./http.js";

start(new HttpBackend());
