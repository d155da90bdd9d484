/** Sample messages of customers, bots and agents, in several languages and scripts. */
export const SAMPLES = [
  { name: "English", language: "en", role: "customer", text: "Where is my parcel?" },
  { name: "Deutsch", language: "de", role: "bot", text: "Ihr Paket kommt morgen zwischen neun und zwölf Uhr." },
  { name: "Español", language: "es", role: "customer", text: "¿Puedo cambiar la dirección de entrega?" },
  { name: "العربية", language: "ar", role: "bot", text: "نعم، أرسل لي العنوان الجديد من فضلك (رقم 17)." },
  { name: "日本語", language: "ja", role: "customer", text: "荷物はいつ届きますか。" },
  { name: "Emoji", language: "en", role: "agent", text: "Done 👍🏽 your parcel 📦 is on its way 👩‍👩‍👧‍👦" },
  { name: "Markup", language: "en", role: "customer", text: "<img src=x onerror=alert(1)> <b>bold?</b>" },
];
