/** The answer to a request for access as a letter: one page that a person can read and print (GDPR art. 12(1)). */

import { element, facts } from "./element.js";
import { day, moment } from "./times.js";

const STYLE = "body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }" +
  " dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dd { margin: 0; } td, th { padding: .2rem .8rem .2rem 0; text-align: start; vertical-align: top; }" +
  " .words { white-space: pre-wrap; } td .words { margin: 0; } section { margin-top: 2rem; border-top: 1px solid; } @media print { section, tr { break-inside: avoid-page; } }";
const WHO = { customer: "you", bot: "the chatbot", agent: "an employee" };

const at = (value) => moment(new Date(value));
const listed = (values) => values?.join(", ");
const list = (rows) => element("dl", {}, ...facts(rows));
const words = (text, lang) => element("p", { className: "words", dir: "auto", lang: lang ?? "" }, text);

/**
 * Return the letter as a document of HTML. Whatever people wrote is set as text, so it cannot become markup.
 *
 * @param {object} answer  what the server answers to a request for access or portability
 */
export function letter({ customer_id, source, automated_decisions, recipients, dialogs, notices, request }) {
  const head = element("head", {}, element("meta", { httpEquiv: "Content-Type", content: "text/html; charset=utf-8" }),
    element("title", {}, "Your data"), element("style", {}, STYLE));
  const text = element("main", {}, element("h1", {}, "Your data"),
    list({
      "Stored under": element("bdi", {}, customer_id), "As of": at(request.received_at), Conversations: String(request.dialogs), Messages: String(request.messages),
      "Left out": listed(request.damaged), Source: source, "Automated decisions": automated_decisions,
    }),
    ...(dialogs.length ? [] : [element("p", {}, "Nothing is stored.")]),
    element("section", {}, element("h2", {}, "Who was shown it"), ...shownTo(recipients)),
    ...dialogs.map(conversation),
    ...notices.map(asked));
  return `<!doctype html>\n${element("html", { lang: "en" }, head, element("body", {}, text)).outerHTML}`;
}

function shownTo(recipients) {
  if (!recipients.length) return [element("p", {}, "Nobody.")];
  return [element("ul", {}, ...recipients.map(({ who, dialogs, first_at, last_at }) =>
    element("li", {}, `${who}: ${dialogs} of the conversations, from ${at(first_at)} to ${at(last_at)}`)))];
}

function conversation({ dialog_id, bot, language, metadata, opened_at, expires_at, purposes, given_by, notice, messages, annotations }) {
  return element("section", {}, element("h2", {}, `Conversation of ${at(opened_at)}`),
    list({
      Number: dialog_id, Chatbot: bot, Language: language, "Used for": listed(purposes), "Kept until": day(new Date(expires_at)),
      "Consent given by": given_by === "self" ? "you" : "a representative", "Consent asked with": `${notice.id} (${notice.language}), see below`,
      ...Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [`“${name}”`, value])),
    }),
    element("table", {}, element("tbody", {}, ...messages.map(({ role, text, language: lang, sent_at, received_at }) =>
      element("tr", {}, element("td", {}, at(sent_at ?? received_at)), element("td", {}, WHO[role]), element("td", {}, words(text, lang)))))),
    ...(annotations?.length ? [element("h3", {}, "What employees noted"), element("ul", {}, ...annotations.map(noted))] : []));
}

function noted({ seq, annotator, labels, review, note, written_at }) {
  return element("li", {}, `${annotator}, ${at(written_at)}, on ${seq ? `message ${seq}` : "the conversation"}: ${[listed(labels), review].filter(Boolean).join("; ")}`,
    ...(note ? [words(note)] : []));
}

function asked({ id, language, text, terms }) {
  return element("section", {}, element("h2", {}, `How your consent was asked for: ${id} (${language})`), words(text, language),
    list({
      Controller: terms.controller, Contact: terms.contact, "Legal basis": terms.legal_basis, Recipients: listed(terms.recipients), Transfers: listed(terms.transfers),
      "Your rights": listed(terms.rights), "Where to complain": terms.complaint, "How to withdraw": terms.withdraw,
    }));
}
